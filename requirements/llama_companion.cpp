// Computes on a thread that steps back for the rest of the machine, while its caller waits at its own priority.
//
// A thread of an interpreter holds the interpreter's lock between two computations. If it is not let run then, because it steps
// back, neither are the others, however urgent what they do is: so only the computations step back, on a thread of their own.

#include "llama.h"

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <system_error>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace winnow {

// A thread of the lowest niceness goes on for some milliseconds when another wakes, and its processor counts as busy when a place
// for that one is looked for; an idle one steps aside at once. Some sandboxes allow no policy but the default one.
inline void step_back() {
#if defined(__linux__)
    sched_param none = {};
    if (sched_setscheduler(0, SCHED_IDLE, &none) != 0) {
        setpriority(PRIO_PROCESS, syscall(SYS_gettid), 19);
    }
#endif
}

class companion {
public:
    companion() : thread([this] { work(); }) {}

    ~companion() {
        {
            std::lock_guard<std::mutex> lock(mutex);
            ended = true;
        }
        changed.notify_all();
        thread.join();
    }

    // Has one caller at a time.
    int32_t compute(llama_context * asked_of, llama_batch asked_for) {
        std::unique_lock<std::mutex> lock(mutex);
        context = asked_of;
        batch = asked_for;
        changed.notify_all();
        changed.wait(lock, [this] { return context == nullptr; });
        return status;
    }

private:
    std::mutex mutex;
    std::condition_variable changed;
    llama_context * context = nullptr;
    llama_batch batch = {};
    int32_t status = 0;
    bool ended = false;
    std::thread thread;  // the last, for it uses the others

    void work() {
        step_back();
        std::unique_lock<std::mutex> lock(mutex);
        while (true) {
            changed.wait(lock, [this] { return ended || context != nullptr; });
            if (ended) {
                return;
            }
            lock.unlock();
            const int32_t result = llama_get_memory(context) ? llama_decode(context, batch) : llama_encode(context, batch);
            lock.lock();
            status = result;
            context = nullptr;
            changed.notify_all();
        }
    }
};

}  // namespace winnow

extern "C" {

// Null if no thread can be started.
LLAMA_API void * winnow_companion_start(void) {
    try {
        return new winnow::companion;
    } catch (const std::system_error &) {
        return nullptr;
    }
}

// What llama_decode or, for a context without a memory, llama_encode returns.
LLAMA_API int32_t winnow_companion_compute(void * companion, llama_context * context, llama_batch batch) {
    return static_cast<winnow::companion *>(companion)->compute(context, batch);
}

LLAMA_API void winnow_companion_end(void * companion) {
    delete static_cast<winnow::companion *>(companion);
}

}
