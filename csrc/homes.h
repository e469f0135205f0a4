// Where the operands and product sources of a pass's stages lie, step by step.
#pragma once
#include <vector>

#include "place.h"
#include "program.h"
#include "vector.h"

namespace seqloom::SEQLOOM_ISA {

// A place that moves from step to step with one of several counters, which a runner of steps numbers as it likes.
struct Home {
    float* at = nullptr;
    int64_t stride = 0;
    int64_t distance = 0;  // floats that it moves by when its counter does by one
    int counter = 0;

    Place in_step(const int64_t* counters) const { return {at + counters[counter] * distance, stride}; }
};

class Homes {
   public:
    // `home_of(operand)` says where the first column of its array lies.
    template <class HomeOf>
    Homes(const std::vector<Stage>& stages, HomeOf home_of) {
        auto add = [&](const Operand& operand) {
            Home home = home_of(operand);
            if (home.at) home.at += operand.offset;
            homes_.push_back(home);
        };
        for (const Stage& stage : stages) {
            operands_.push_back(homes_.size());
            for (const Operand& operand : stage.operands) add(operand);
            sources_.push_back(homes_.size());
            for (const Product& product : stage.products) add(product.source);
        }
    }

    const Home* operands(size_t stage) const { return homes_.data() + operands_[stage]; }
    const Home* sources(size_t stage) const { return homes_.data() + sources_[stage]; }

    // All of them, stage by stage, a stage's operands before its sources.
    std::vector<Home>& all() { return homes_; }

   private:
    std::vector<Home> homes_;
    std::vector<size_t> operands_, sources_;  // where a stage's begin
};

}  // namespace seqloom::SEQLOOM_ISA
