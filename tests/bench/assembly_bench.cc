// How long portshim reads in an assembly: the one that PORTSHIM_BENCH_ASSEMBLY names, or
// tests/data/assemblies/small.dll; and in code of any length, which should be linear.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "shim/assembly.h"
#include "shim/il.h"
#include "shim/metadata.h"

namespace portshim {
namespace {

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

const std::string& contents_of_assembly() {
  static const std::string file = [] {
    const char* path = std::getenv("PORTSHIM_BENCH_ASSEMBLY");
    return contents(path != nullptr ? path : PORTSHIM_TEST_DATA "/assemblies/small.dll");
  }();
  return file;
}

void OpenAnAssembly(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(metadata::Module::read(contents_of_assembly()));
}

/// Opening it, and every instruction.
void WalkEveryMethod(benchmark::State& state) {
  std::int64_t instructions = 0;
  for (auto _ : state) {
    const auto module = metadata::Module::read(contents_of_assembly());
    if (!module) return state.SkipWithError(module.error().c_str());
    for (std::uint32_t row = 1; row <= module->rows(metadata::Table::method_def); ++row) {
      il::Instructions code(module->body(row).value_or(""));
      while (const auto instruction = code.next()) {
        ++instructions;
        benchmark::DoNotOptimize(instruction->operand);
      }
    }
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(contents_of_assembly().size()));
  state.counters["instructions"] =
      benchmark::Counter(static_cast<double>(instructions), benchmark::Counter::kAvgIterations);
  state.counters["bytes"] = static_cast<double>(contents_of_assembly().size());
}

/// What portshim does with it at a start.
void FindWhatTheCodeBinds(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(assembly::read(contents_of_assembly(), "App.dll"));
}

/// The same with the name of what each call calls, which is where a search begins.
void NameEveryCall(benchmark::State& state) {
  constexpr std::uint16_t kCall = 0x28;
  constexpr std::uint16_t kCallVirtual = 0x6f;
  constexpr std::uint16_t kNewObject = 0x73;
  for (auto _ : state) {
    const auto module = metadata::Module::read(contents_of_assembly());
    if (!module) return state.SkipWithError(module.error().c_str());
    for (std::uint32_t row = 1; row <= module->rows(metadata::Table::method_def); ++row) {
      il::Instructions code(module->body(row).value_or(""));
      while (const auto instruction = code.next()) {
        const std::uint16_t opcode = instruction->opcode;
        if (opcode == kCall || opcode == kCallVirtual || opcode == kNewObject)
          benchmark::DoNotOptimize(module->member({static_cast<std::uint32_t>(instruction->operand)}));
      }
    }
  }
}

/// A loop of calls, constants and branches of so many bytes.
void InstructionsOfALongMethod(benchmark::State& state) {
  using namespace std::literals;
  std::string code;
  while (code.size() < static_cast<std::size_t>(state.range(0)))
    code += "\x02\x72\x01\0\0\x70\x28\x01\0\0\x0a\x17\x2d\xf1"sv;
  for (auto _ : state) {
    il::Instructions instructions(code);
    while (const auto instruction = instructions.next()) benchmark::DoNotOptimize(instruction->operand);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(code.size()));
  state.SetComplexityN(state.range(0));
}

BENCHMARK(OpenAnAssembly);
BENCHMARK(FindWhatTheCodeBinds)->Unit(benchmark::kMicrosecond);
BENCHMARK(WalkEveryMethod)->Unit(benchmark::kMicrosecond);
BENCHMARK(NameEveryCall)->Unit(benchmark::kMicrosecond);
BENCHMARK(InstructionsOfALongMethod)->RangeMultiplier(16)->Range(1 << 10, 4 << 20)->Complexity(benchmark::oN);

}  // namespace
}  // namespace portshim

BENCHMARK_MAIN();
