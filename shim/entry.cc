#include "shim/entry.h"

// Written before the C library is there, and before the program is relocated: neither is needed for a plain number.
extern "C" {
std::uint64_t portshim_inherited_signals = 0;
}

// Where the linker lets the program begin, in place of the C library's _start, which comes next: with the registers and
// the stack as the kernel (or the dynamic linker) set them. It makes one system call:
// rt_sigprocmask(SIG_BLOCK, all, &portshim_inherited_signals, 8).
#if defined(__x86_64__)
asm(R"(
  .pushsection .text.portshim_entry, "ax", @progbits
  .globl portshim_entry
  .type portshim_entry, @function
portshim_entry:
  .cfi_startproc
  .cfi_undefined rip
  endbr64
  mov %rdx, %r9
  mov $14, %eax
  xor %edi, %edi
  lea .Lportshim_all(%rip), %rsi
  lea portshim_inherited_signals(%rip), %rdx
  mov $8, %r10d
  syscall
  mov %r9, %rdx
  jmp _start
  .cfi_endproc
  .size portshim_entry, . - portshim_entry
  .balign 8
.Lportshim_all:
  .quad -1
  .popsection
)");
#elif defined(__aarch64__)
asm(R"(
  .pushsection .text.portshim_entry, "ax", @progbits
  .globl portshim_entry
  .type portshim_entry, @function
portshim_entry:
  .cfi_startproc
  .cfi_undefined x30
  hint 34
  mov x9, x0
  mov x8, #135
  mov x0, #0
  adr x1, .Lportshim_all
  adrp x2, portshim_inherited_signals
  add x2, x2, :lo12:portshim_inherited_signals
  mov x3, #8
  svc #0
  mov x0, x9
  b _start
  .cfi_endproc
  .size portshim_entry, . - portshim_entry
  .balign 8
.Lportshim_all:
  .quad -1
  .popsection
)");
#else
#error "the entry of this architecture is to be written"
#endif

namespace portshim::entry {

std::uint64_t inherited_signals() {
  return portshim_inherited_signals;
}

}  // namespace portshim::entry
