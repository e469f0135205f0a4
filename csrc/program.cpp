#include "program.h"

#include <cstring>

namespace seqloom {
namespace {

[[noreturn]] void refuse(const std::string& what) { throw std::invalid_argument("not a kernel program: " + what); }

class Reader {
   public:
    Reader(const int32_t* words, size_t count) : next_(words), end_(words + count) {}
    int word() {
        if (next_ == end_) refuse("it ends early");
        return *next_++;
    }
    int in(int least, int most, const char* what) {
        int value = word();
        if (value < least || value > most) {
            refuse(std::string(what) + " is " + std::to_string(value) + ", expected " + std::to_string(least) + " to " +
                   std::to_string(most));
        }
        return value;
    }
    std::vector<int> sizes(const char* what) {
        std::vector<int> found(in(0, kMostEntries, what));
        for (int& size : found) size = in(1, kMost, what);
        return found;
    }
    bool finished() const { return next_ == end_; }

   private:
    const int32_t* next_;
    const int32_t* end_;
};

int operand_width(const Program& program, const Operand& operand) {
    auto of = [&](const std::vector<int>& sizes) {
        if (operand.index < 0 || operand.index >= static_cast<int>(sizes.size())) refuse("an operand's index is out of range");
        return sizes[operand.index];
    };
    switch (operand.kind) {
        case Kind::linear: return program.linear_width;
        case Kind::rows: return of(program.rows);
        case Kind::state: case Kind::new_state: case Kind::carry: return of(program.states);
        case Kind::array:
            if (operand.index < 0 || operand.index >= static_cast<int>(program.arrays.size())) refuse("an array is out of range");
            return program.arrays[operand.index].width;
        case Kind::vector: return of(program.vectors);
        case Kind::output_gradient: return program.states.empty() ? 0 : program.states[0];
        case Kind::gradient: case Kind::later_gradient: return program.gradient_width;
        case Kind::temporary: return of(program.temporaries);
        case Kind::vector_gradient: return of(program.vector_gradients);
        default: refuse("an operand's kind is unknown");
    }
}

bool allowed(Kind kind, Pass pass) {
    bool backward = kind == Kind::output_gradient || kind == Kind::carry || kind == Kind::gradient ||
                    kind == Kind::later_gradient || kind == Kind::temporary || kind == Kind::vector_gradient;
    return pass == Pass::backward || !backward;
}

bool writable(Kind kind, Pass pass) {
    if (pass == Pass::backward) return kind == Kind::carry || kind == Kind::gradient || kind == Kind::temporary;
    return kind == Kind::new_state || kind == Kind::array;
}

Operand read_operand(Reader& reader, const Program& program, Pass pass, int units, bool source) {
    Operand operand;
    operand.kind = static_cast<Kind>(reader.in(0, static_cast<int>(Kind::count) - 1, "an operand's kind"));
    operand.index = reader.word();
    operand.offset = reader.in(0, kMost, "an operand's offset");
    if (!allowed(operand.kind, pass)) refuse("an operand does not belong into this pass");
    if ((operand.kind == Kind::later_gradient) && !source) refuse("a later gradient is read by a product only");
    if (operand.offset + units > operand_width(program, operand)) refuse("an operand reaches beyond its array");
    if (pass == Pass::backward && operand.kind == Kind::array && !program.arrays[operand.index].kept) {
        refuse("the backward pass reads an array that is not kept");
    }
    return operand;
}

Product read_product(Reader& reader, const Program& program, Pass pass, int width) {
    Product product;
    // The length follows the source; read the source's words first and check them when it is known.
    int kind = reader.word(), index = reader.word(), offset = reader.word();
    product.length = reader.in(1, kMost, "a product's length");
    int32_t words[3] = {kind, index, offset};
    Reader again(words, 3);
    product.source = read_operand(again, program, pass, product.length, true);
    if (product.source.kind == Kind::vector || product.source.kind == Kind::vector_gradient ||
        product.source.kind == Kind::carry || product.source.kind == Kind::output_gradient) {
        refuse("a product's source is of a kind that it cannot read");
    }
    product.gates.resize(reader.in(1, 64, "the gates of a product"));
    for (auto& gate : product.gates) {
        gate.resize(reader.in(1, 64, "the segments of a gate"));
        int total = 0;
        for (Segment& segment : gate) {
            segment.matrix = reader.in(0, static_cast<int>(program.matrices.size()) - 1, "a segment's matrix");
            segment.transposed = reader.in(0, 1, "a segment's transposition") == 1;
            segment.offset = reader.in(0, kMost, "a segment's offset");
            segment.length = reader.in(1, kMost, "a segment's length");
            total += segment.length;
            const Matrix& matrix = program.matrices[segment.matrix];
            bool inside = segment.transposed
                              ? segment.offset + segment.length <= matrix.rows && width <= matrix.columns
                              : segment.offset + width <= matrix.rows && segment.length <= matrix.columns;
            if (!inside) refuse("a segment reaches beyond its matrix");
            if (total > product.length) refuse("a gate's segments are longer than the product's source");
        }
        if (total != product.length) refuse("a gate's segments are shorter than the product's source");
    }
    return product;
}

int operands_of(Op op) {
    switch (op) {
        case Op::load: case Op::load_row: case Op::accumulator: case Op::constant: return 0;
        case Op::add: case Op::sub: case Op::mul: case Op::div: case Op::minimum: case Op::maximum: case Op::less:
        case Op::less_equal: case Op::equal: return 2;
        case Op::where: return 3;
        default: return 1;
    }
}
bool is_effect(Op op) { return op == Op::store || op == Op::add_rows || op == Op::sum_units; }

void check_code(const Program& program, Stage& stage, Pass pass) {
    size_t operands = stage.operands.size();
    stage.reads.assign(operands, 0);
    stage.writes.assign(operands, 0);
    stage.per_row.assign(operands, 0);
    auto operand_at = [&](const Instruction& instruction, bool per_row) -> Operand& {
        if (instruction.a < 0 || instruction.a >= static_cast<int>(operands)) refuse("an instruction's memory operand is out of range");
        Operand& operand = stage.operands[instruction.a];
        if (per_row) stage.per_row[instruction.a] = 1;
        return operand;
    };
    std::vector<char> vector_use(operands, 0);
    for (size_t i = 0; i < stage.code.size(); i++) {
        const Instruction& instruction = stage.code[i];
        int arguments[3] = {instruction.a, instruction.b, instruction.c};
        int first = is_effect(instruction.op) ? 1 : 0, count = is_effect(instruction.op) ? 1 : operands_of(instruction.op);
        for (int k = first; k < first + count; k++) {
            if (arguments[k] < 0 || arguments[k] >= static_cast<int>(i) || is_effect(stage.code[arguments[k]].op)) {
                refuse("an instruction's operand is not an earlier value");
            }
        }
        switch (instruction.op) {
            case Op::load:
                if (operand_at(instruction, false).kind == Kind::vector_gradient) refuse("a vector gradient is not loaded");
                stage.reads[instruction.a] = vector_use[instruction.a] = 1;
                break;
            case Op::load_row:
                if (operand_at(instruction, true).kind == Kind::vector_gradient) refuse("a vector gradient is not loaded");
                stage.reads[instruction.a] = 1;
                break;
            case Op::accumulator:
                if (instruction.a < 0 || instruction.a >= stage.accumulators) refuse("an accumulator is out of range");
                break;
            case Op::store:
                if (!writable(operand_at(instruction, false).kind, pass)) refuse("a store goes to what is only read");
                stage.writes[instruction.a] = vector_use[instruction.a] = 1;
                break;
            case Op::add_rows:
                if (operand_at(instruction, false).kind != Kind::vector_gradient) refuse("rows are added to a vector gradient only");
                stage.reads[instruction.a] = stage.writes[instruction.a] = vector_use[instruction.a] = 1;
                break;
            case Op::sum_units:
                if (!writable(operand_at(instruction, true).kind, pass)) refuse("a sum goes to what is only read");
                stage.sums.push_back(instruction.a);
                break;
            default: break;
        }
    }
    for (size_t s = 0; s < operands; s++) {
        int units = vector_use[s] ? stage.width : 1;
        if (vector_use[s] && stage.per_row[s] && stage.width > 1) refuse("an operand is used as a vector and as one number");
        if (stage.operands[s].offset + units > operand_width(program, stage.operands[s])) refuse("an operand reaches beyond its array");
        if (vector_use[s]) stage.per_row[s] = 0;  // one unit wide, but whole vectors of it are read or written
    }
}

Stage read_stage(Reader& reader, const Program& program, Pass pass) {
    Stage stage;
    stage.width = reader.in(1, kMost, "a stage's width");
    int products = reader.in(0, 64, "the products of a stage");
    for (int i = 0; i < products; i++) {
        stage.products.push_back(read_product(reader, program, pass, stage.width));
        stage.accumulators += static_cast<int>(stage.products.back().gates.size());
    }
    if (stage.accumulators > kMostAccumulators) {
        refuse("a stage has more than " + std::to_string(kMostAccumulators) + " accumulators");
    }
    stage.operands.resize(reader.in(0, kMostEntries, "the operands of a stage"));
    for (Operand& operand : stage.operands) operand = read_operand(reader, program, pass, 1, false);
    stage.code.resize(reader.in(0, kMostInstructions, "the instructions of a stage"));
    for (Instruction& instruction : stage.code) {
        instruction.op = static_cast<Op>(reader.in(0, static_cast<int>(Op::sum_units), "an operation"));
        instruction.a = reader.word();
        instruction.b = reader.word();
        instruction.c = reader.word();
        int32_t bits = reader.word();
        std::memcpy(&instruction.value, &bits, 4);
    }
    check_code(program, stage, pass);
    allocate_registers(stage);
    return stage;
}

}  // namespace

Program::Program(const int32_t* words, size_t count) {
    Reader reader(words, count);
    if (reader.word() != kVersion) refuse("its version is not " + std::to_string(kVersion));
    linear_width = reader.in(0, kMost, "the width of the input product");
    gradient_width = reader.in(0, kMost, "the width of the gradient");
    states = reader.sizes("a state's size");
    rows = reader.sizes("a row leaf's size");
    vectors = reader.sizes("a vector's size");
    matrices.resize(reader.in(0, kMostEntries, "the number of matrices"));
    for (Matrix& matrix : matrices) {
        matrix.rows = reader.in(1, kMost, "a matrix's rows");
        matrix.columns = reader.in(1, kMost, "a matrix's columns");
    }
    arrays.resize(reader.in(0, kMostEntries, "the number of arrays"));
    for (Array& array : arrays) {
        array.width = reader.in(1, kMost, "an array's width");
        array.kept = reader.in(0, 1, "an array's kind") == 1;
        array.linear = reader.in(-1, kMost, "an array's place");
        if (array.linear >= 0 && array.linear + array.width > linear_width) refuse("an array overlaps the input product's end");
    }
    temporaries = reader.sizes("a temporary's width");
    vector_gradients = reader.sizes("a vector gradient's width");
    for (int pass = 0; pass < static_cast<int>(Pass::count); pass++) {
        int stages = reader.in(0, kMostStages, "the number of stages");
        for (int i = 0; i < stages; i++) passes[pass].push_back(read_stage(reader, *this, static_cast<Pass>(pass)));
    }
    if (!reader.finished()) refuse("words follow its end");
}

bool Program::mixes_units(Pass pass) const {
    for (const Stage& stage : stages(pass)) {
        if (!stage.products.empty() || !stage.sums.empty()) return true;
    }
    // Stages of different widths divide the units differently.
    for (const Stage& stage : stages(pass)) {
        if (stage.width != stages(pass).front().width) return true;
    }
    return false;
}

int64_t Program::weight_bytes(Pass pass) const {
    int64_t total = 0;
    for (const Stage& stage : stages(pass)) {
        for (const Product& product : stage.products) total += 4LL * product.length * product.gates.size() * stage.width;
    }
    return total;
}

int64_t Program::arithmetic(Pass pass) const {
    int64_t total = 0;
    for (const Stage& stage : stages(pass)) {
        int64_t each = 16 * static_cast<int64_t>(stage.code.size());
        for (const Product& product : stage.products) each += 2LL * product.length * product.gates.size();
        total += stage.width * each;
    }
    return total;
}

// Values get places: loads and accumulators are read where they lie, constants have registers of their own, the
// rest shares registers by lifetime. A multiplication or a sum used once is fused into what uses it.
void allocate_registers(Stage& stage) {
    const auto& code = stage.code;
    int n = static_cast<int>(code.size());
    std::vector<int> uses(n, 0), place(n, -1);
    auto each_operand = [&](const Instruction& instruction, auto&& visit) {
        const int arguments[3] = {instruction.a, instruction.b, instruction.c};
        int first = is_effect(instruction.op) ? 1 : 0, count = is_effect(instruction.op) ? 1 : operands_of(instruction.op);
        for (int k = first; k < first + count; k++) visit(arguments[k]);
    };
    for (const auto& instruction : code) each_operand(instruction, [&](int v) { uses[v]++; });
    // A load may be read in place only while nothing of this code writes where it lies, which only its operand's place
    // decides; a store to a kept array may overwrite the input product. So loads whose last use comes after the first
    // store are copied into a register.
    int first_store = n;
    for (int i = 0; i < n; i++) {
        if (code[i].op == Op::store) { first_store = i; break; }
    }
    struct Draft { Op op; int value, a, b, c; float constant; };
    std::vector<Draft> drafts;
    std::vector<int> fused(n, 0);
    auto single = [&](int v, Op op) { return uses[v] == 1 && code[v].op == op && !fused[v]; };
    for (int i = 0; i < n; i++) {
        const auto& k = code[i];
        if (k.op == Op::add) {
            for (int side = 0; side < 2; side++) {
                int product = side ? k.b : k.a, other = side ? k.a : k.b;
                if (single(product, Op::mul) && product != other) { fused[product] = i + 1; break; }
            }
        } else if (k.op == Op::sigmoid || k.op == Op::tanh) {
            if (single(k.a, Op::add)) {
                const auto& sum = code[k.a];
                if (!(fused[sum.a] == k.a + 1) && !(fused[sum.b] == k.a + 1)) fused[k.a] = i + 1;
            }
        }
    }
    for (int i = 0; i < n; i++) {
        const auto& k = code[i];
        if (k.op == Op::constant || k.op == Op::accumulator || fused[i]) continue;
        Draft draft{k.op, i, k.a, k.b, k.c, k.value};
        if (k.op == Op::add && (fused[k.a] == i + 1 || fused[k.b] == i + 1)) {
            int product = fused[k.a] == i + 1 ? k.a : k.b, other = product == k.a ? k.b : k.a;
            draft = {Op::fused_multiply_add, i, code[product].a, code[product].b, other, 0};
        } else if ((k.op == Op::sigmoid || k.op == Op::tanh) && fused[k.a] == i + 1) {
            draft = {k.op == Op::sigmoid ? Op::sigmoid_of_sum : Op::tanh_of_sum, i, code[k.a].a, code[k.a].b, 0, 0};
        }
        drafts.push_back(draft);
    }
    auto inputs = [&](const Draft& d, int out[3]) {
        int count = 0;
        switch (d.op) {
            case Op::load: case Op::load_row: return 0;
            case Op::store: case Op::add_rows: case Op::sum_units: out[count++] = d.b; return count;
            case Op::fused_multiply_add: out[0] = d.a; out[1] = d.b; out[2] = d.c; return 3;
            case Op::sigmoid_of_sum: case Op::tanh_of_sum: out[0] = d.a; out[1] = d.b; return 2;
            default: break;
        }
        int arguments[3] = {d.a, d.b, d.c};
        for (int q = 0; q < operands_of(d.op); q++) out[count++] = arguments[q];
        return count;
    };
    std::vector<int> last(n, -1);
    for (size_t q = 0; q < drafts.size(); q++) {
        int in[3];
        int count = inputs(drafts[q], in);
        for (int j = 0; j < count; j++) last[in[j]] = static_cast<int>(q);
    }
    int registers = 0;
    for (int i = 0; i < n; i++) {
        if (code[i].op == Op::constant && uses[i]) {
            place[i] = registers++;
            stage.constants.push_back({place[i], code[i].value});
        }
    }
    std::vector<int> free_registers;
    auto take = [&] {
        if (free_registers.empty()) return registers++;
        int reg = free_registers.back();
        free_registers.pop_back();
        return reg;
    };
    constexpr int kAccumulator = 1 << 20, kMemory = 1 << 21;
    for (int i = 0; i < n; i++) {
        if (code[i].op == Op::accumulator) place[i] = kAccumulator + code[i].a;
    }
    int sum = 0;
    for (size_t q = 0; q < drafts.size(); q++) {
        Draft& d = drafts[q];
        if (d.op == Op::load) {
            bool in_place = last[d.value] < 0 || drafts[last[d.value]].value < first_store;
            if (in_place) { place[d.value] = kMemory + d.a; continue; }
        }
        int in[3];
        int count = inputs(d, in);
        int operand[3] = {0, 0, 0};
        for (int j = 0; j < count; j++) operand[j] = place[in[j]];
        for (int j = 0; j < count; j++) {
            bool seen = false;
            for (int before = 0; before < j; before++) seen |= in[before] == in[j];
            bool own = place[in[j]] < kAccumulator && code[in[j]].op != Op::constant;
            if (!seen && own && last[in[j]] == static_cast<int>(q)) free_registers.push_back(place[in[j]]);
        }
        RegisterInstruction instruction{d.op, -1, operand[0], operand[1], operand[2], d.constant};
        if (d.op == Op::store || d.op == Op::add_rows) {
            instruction.result = kMemory + d.a;
        } else if (d.op == Op::sum_units) {
            instruction.result = sum++;
        } else {
            if (d.op == Op::load || d.op == Op::load_row) instruction.a = kMemory + d.a;
            instruction.result = take();
            place[d.value] = instruction.result;
            if (last[d.value] < 0) free_registers.push_back(instruction.result);
        }
        stage.machine_code.push_back(instruction);
    }
    stage.registers = registers;
    auto resolve = [&](int operand) {
        if (operand >= kMemory) return registers + stage.accumulators + operand - kMemory;
        if (operand >= kAccumulator) return registers + operand - kAccumulator;
        return operand;
    };
    for (RegisterInstruction& instruction : stage.machine_code) {
        if (instruction.op != Op::sum_units) instruction.result = resolve(instruction.result);
        instruction.a = resolve(instruction.a);
        instruction.b = resolve(instruction.b);
        instruction.c = resolve(instruction.c);
    }
}

}  // namespace seqloom
