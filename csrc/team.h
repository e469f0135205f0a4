// Threads: torch's own OpenMP team, found in the running process, and a barrier for the stages of a step.
#pragma once
#include <atomic>
#include <cstdint>

namespace seqloom {

// Runs work(data, rank, size) on up to `threads` threads of the OpenMP runtime that is already loaded (torch's), so that
// no second pool of threads competes with it; on the calling thread alone where there is none.
void run_team(int threads, void (*work)(void* data, int rank, int size), void* data);

// Whether an OpenMP runtime was found.
bool has_team();

// Whether threads have lately been waiting for each other long enough that the machine must be busy with something else.
bool crowded();

class Barrier {
   public:
    explicit Barrier(int size) : size_(size) {}
    ~Barrier();
    void wait(int rank, int& epoch);

   private:
    struct alignas(64) Flag {
        std::atomic<int> reached{0};
    };
    static constexpr int kMost = 64;
    Flag flags_[kMost];
    const int size_;
    std::atomic<int> yields_{0}, waits_{0};
};

// Where a thread of a team stands.
struct Share {
    int worker = 0;
    int first = 0, last = 1;  // parts of the units
    Barrier* barrier = nullptr;
    int rank = 0, epoch = 0;

    void wait() {
        if (barrier) barrier->wait(rank, epoch);
    }
};

constexpr int kMostThreads = 64;

}  // namespace seqloom
