// What the tests of --init start as COMMAND: it does one thing, and says so on stdout line by line.
//
//   subject record [LAST]     all signals that arrive, as "SIGNAL CODE VALUE PID"; ends with 0 behind signal LAST (15)
//   subject count SIGNAL      how many came of a real-time signal whose values are 0, 1, 2, …, as "COUNT LAST_VALUE",
//                             when SIGTERM comes
//   subject orphans N         N orphans that all end at once, then "gone"; ends with 3 when stdin does
//   subject stay SECONDS...   one process for each, which lives that long, at the end of a chain of parents that wait;
//                             then it says the numbers of all of them, and ends with 3
//   subject stubborn          as stay with one process that ignores SIGTERM
//   subject exit CODE         ends with it
//   subject signal N          ends by signal N
//   subject eat               takes memory until it is killed
//   subject now               the time when it runs, in nanoseconds of CLOCK_MONOTONIC
//
// Signals are taken by system calls, since the C library keeps 32 and 33 for itself. Linked statically.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const uint64_t kAll = ~UINT64_C(0);

static void block_all(void) {
  syscall(SYS_rt_sigprocmask, SIG_BLOCK, &kAll, NULL, sizeof kAll);
}

static int take(siginfo_t* info) {
  return (int)syscall(SYS_rt_sigtimedwait, &kAll, info, NULL, sizeof kAll);
}

static int record(int last) {
  block_all();
  puts("ready");
  for (;;) {
    siginfo_t info = {0};
    const int number = take(&info);
    if (number < 0) continue;
    printf("%d %d %d %d\n", number, info.si_code, info.si_value.sival_int, (int)info.si_pid);
    if (number == last) return 0;
  }
}

static int count(int signal_number) {
  block_all();
  puts("ready");
  int counted = 0;
  int value = -1;
  for (;;) {
    siginfo_t info = {0};
    const int number = take(&info);
    if (number == SIGTERM) {
      // SIGTERM has the lower number, and comes out first: the rest is there already.
      const struct timespec at_once = {0, 0};
      while (syscall(SYS_rt_sigtimedwait, &kAll, &info, &at_once, sizeof kAll) == signal_number) {
        ++counted;
        value = info.si_value.sival_int;
      }
      printf("%d %d\n", counted, value);
      return 0;
    }
    if (number != signal_number) continue;
    ++counted;
    if (info.si_value.sival_int != value + 1) printf("%d after %d\n", info.si_value.sival_int, value);
    value = info.si_value.sival_int;
  }
}

static void wait_for_end_of(int descriptor) {
  char byte = 0;
  while (read(descriptor, &byte, 1) > 0) {
  }
}

static int orphans(int wanted) {
  int release[2];
  int made[2];
  if (pipe(release) != 0 || pipe(made) != 0) return 1;
  const pid_t parent = fork();
  if (parent == 0) {
    close(made[0]);
    close(release[1]);
    for (int i = 0; i < wanted; ++i) {
      const pid_t child = fork();
      if (child < 0) _exit(1);
      if (child == 0) {
        close(made[1]);
        wait_for_end_of(release[0]);
        _exit(0);
      }
    }
    _exit(0);
  }
  close(made[1]);
  int status = 0;
  waitpid(parent, &status, 0);
  wait_for_end_of(made[0]);
  close(release[0]);
  close(release[1]);
  puts(status == 0 ? "gone" : "not made");
  wait_for_end_of(STDIN_FILENO);
  return 3;
}

// A process that lives for some time, at the end of a chain of `depth` parents that wait for it.
static void stay(unsigned seconds, int depth, int written, void (*prepare)(void)) {
  const pid_t child = fork();
  if (child != 0) return;
  if (depth > 0) stay(seconds, depth - 1, written, prepare);
  if (prepare != NULL) prepare();
  dprintf(written, "%d\n", (int)getpid());
  close(written);
  if (depth == 0) {
    sleep(seconds);
    _exit(0);
  }
  while (wait(NULL) > 0) {
  }
  _exit(0);
}

static void ignore_term(void) {
  signal(SIGTERM, SIG_IGN);
}

// Waits until all have said that they are there.
static int leave(int argc, char** seconds, void (*prepare)(void)) {
  int said[2];
  if (pipe(said) != 0) return 1;
  for (int i = 0; i < argc; ++i) stay((unsigned)atoi(seconds[i]), i, said[1], prepare);
  close(said[1]);
  char text[4096];
  ssize_t length = 0;
  while ((length = read(said[0], text, sizeof text)) > 0) fwrite(text, 1, (size_t)length, stdout);
  return 3;
}

static _Noreturn void end_by(int number) {
  const struct rlimit no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  signal(number, SIG_DFL);
  kill(getpid(), number);
  for (;;) pause();
}

static _Noreturn void eat(void) {
  enum { kPiece = 1 << 20 };
  for (;;) {
    char* const piece = malloc(kPiece);
    if (piece != NULL) memset(piece, 1, kPiece);
  }
}

static int say_time(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return printf("%jd\n", (intmax_t)now.tv_sec * 1000000000 + now.tv_nsec) < 0;
}

int main(int argc, char** argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  const char* const what = argc > 1 ? argv[1] : "";
  const int number = argc > 2 ? atoi(argv[2]) : SIGTERM;
  if (strcmp(what, "record") == 0) return record(number);
  if (strcmp(what, "count") == 0) return count(number);
  if (strcmp(what, "orphans") == 0) return orphans(number);
  if (strcmp(what, "stay") == 0) return leave(argc - 2, argv + 2, NULL);
  if (strcmp(what, "stubborn") == 0) return leave(1, (char*[]){"600", NULL}, ignore_term);
  if (strcmp(what, "exit") == 0) return number;
  if (strcmp(what, "signal") == 0) end_by(number);
  if (strcmp(what, "eat") == 0) eat();
  if (strcmp(what, "now") == 0) return say_time();
  return 2;
}
