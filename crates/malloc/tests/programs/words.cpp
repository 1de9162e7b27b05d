// What a compiler has much to do with.
#include <algorithm>
#include <map>
#include <memory>
#include <regex>
#include <string>
#include <vector>

template <int N> struct Sum {
    static constexpr int value = N + Sum<N - 1>::value;
};
template <> struct Sum<0> {
    static constexpr int value = 0;
};

std::map<std::string, std::vector<int>> count(const std::vector<std::string> &words)
{
    std::map<std::string, std::vector<int>> found;
    std::regex pattern("word([0-9]+)");
    for (const std::string &word : words) {
        std::smatch match;
        if (std::regex_match(word, match, pattern)) {
            found[match[1]].push_back(Sum<200>::value);
        }
    }
    for (auto &[word, numbers] : found) {
        std::sort(numbers.begin(), numbers.end());
    }
    return found;
}
