// Objects of threads whose destructors allocate and free, in an order that the program does not choose.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

static int wrong;

struct Keeper {
    std::vector<std::string> texts;
    std::unique_ptr<char[]> block;

    explicit Keeper(int count) : block(new char[5000])
    {
        for (int i = 0; i < count; ++i) {
            texts.push_back(std::string(static_cast<size_t>(i) * 7 + 20, 'x'));
        }
        std::memset(block.get(), 3, 5000);
    }

    ~Keeper()
    {
        std::vector<std::string> copy(texts.begin(), texts.end());
        for (const std::string &text : copy) {
            wrong += text.find_first_not_of('x') != std::string::npos;
        }
        wrong += block[4999] != 3;
        block.reset(new char[70000]);
        copy.resize(2 * copy.size());
    }
};

static thread_local Keeper first(40);
static thread_local std::unique_ptr<Keeper> second;
static Keeper of_the_process(100);

int main()
{
    second = std::make_unique<Keeper>(10);
    for (int round = 0; round < 100; ++round) {
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([i] {
                if (i % 2 == 0) {
                    first.texts.push_back("xxx");
                }
                second = std::make_unique<Keeper>(i * 10);
            });
        }
        for (std::thread &thread : threads) {
            thread.join();
        }
    }
    try {
        throw std::string("thrown");
    } catch (const std::string &text) {
        std::printf("%s %d\n", text.c_str(), wrong);
    }
    return wrong == 0 ? 0 : 1;
}
