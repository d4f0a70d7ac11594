// An app that binds as no script can, and a sandbox that refuses what portshim needs.
//
//   binder constant PORT                 binds an address that is in read-only memory; prints the port that it got
//   binder unspecified PORT              binds an address of family AF_UNSPEC; prints the port that it got
//   binder other WHAT                    binds 0.0.0.0:80 to what cannot be: none (no descriptor), file, unix, ipv6
//   binder private PORT                  binds after PR_SET_DUMPABLE 0; prints the errno
//   binder storm BINDS THREADS [SIGNALS [INTERRUPTED]]
//                                        binds UDP sockets to port 0, each eighth one to port 53, in threads; with
//                                        SIGNALS a signal arrives every 20 ms, with INTERRUPTED
//                                        its handler is without SA_RESTART. Prints how many failed, and the first
//                                        errno
//   binder dying COUNT                   processes that end while their threads bind; then binds port 80, prints the
//                                        port
//   binder killed                        prints "child PID"; the child waits for a line of stdin, and binds port 80.
//                                        Prints whether it was killed, waits for another line, binds port 80, prints
//                                        the port
//   binder getpid CALLS | binder bind CALLS   prints nanoseconds per call, for scripts/bench
//   binder refuse WHAT ERRNO COMMAND...  COMMAND where WHAT is answered with ERRNO: seccomp (seccomp(2)), killable
//                                        (its WAIT_KILLABLE_RECV), answer (the ioctl that answers a notification),
//                                        memory (process_vm_readv and process_vm_writev)
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int bind_port(int type, uint16_t port) {
  const int on = 1;
  const int descriptor = socket(AF_INET, type | SOCK_CLOEXEC, 0);
  if (descriptor < 0 || setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) return -1;
  const struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  const int result = bind(descriptor, (const struct sockaddr*)&address, sizeof address);
  const int code = errno;
  if (result != 0) close(descriptor);
  errno = code;
  return result == 0 ? descriptor : -1;
}

/// The port that a socket has; closes it.
static int print_port(int descriptor) {
  struct sockaddr_in address = {0};
  socklen_t length = sizeof address;
  if (descriptor < 0 || getsockname(descriptor, (struct sockaddr*)&address, &length) != 0) {
    printf("errno %d\n", errno);
    return 1;
  }
  printf("%d\n", ntohs(address.sin_port));
  close(descriptor);
  return 0;
}

// In .rodata.
static const struct sockaddr_in kConstant = {.sin_family = AF_INET, .sin_port = 80 << 8};

static int constant(void) {
  const int descriptor = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(descriptor, (const struct sockaddr*)&kConstant, sizeof kConstant) != 0) return print_port(-1);
  return print_port(descriptor);
}

static int unspecified(uint16_t port) {
  const int descriptor = socket(AF_INET, SOCK_STREAM, 0);
  const struct sockaddr_in address = {.sin_family = AF_UNSPEC, .sin_port = htons(port)};
  if (bind(descriptor, (const struct sockaddr*)&address, sizeof address) != 0) return print_port(-1);
  return print_port(descriptor);
}

static int other(const char* what) {
  int descriptor = 99;
  if (strcmp(what, "file") == 0) descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (strcmp(what, "unix") == 0) descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
  if (strcmp(what, "ipv6") == 0) descriptor = socket(AF_INET6, SOCK_STREAM, 0);
  bind(descriptor, (const struct sockaddr*)&kConstant, sizeof kConstant);
  return print_port(-1);
}

static atomic_int binds_left, failures, first_error;

static void* storm_thread(void* unused) {
  (void)unused;
  for (int left; (left = atomic_fetch_sub(&binds_left, 1)) > 0;) {
    const int descriptor = bind_port(SOCK_DGRAM, left % 8 == 0 ? 53 : 0);
    if (descriptor < 0) {
      if (atomic_fetch_add(&failures, 1) == 0) atomic_store(&first_error, errno);
    } else {
      close(descriptor);
    }
  }
  return NULL;
}

static atomic_int signals_handled;

static void count_signal(int number) {
  (void)number;
  atomic_fetch_add(&signals_handled, 1);
}

static int storm(int binds, int threads, int with_signals, int flags) {
  if (with_signals) {
    // .NET installs its handlers with SA_RESTART.
    const struct sigaction action = {.sa_handler = count_signal, .sa_flags = flags};
    const struct itimerval every = {.it_interval = {.tv_usec = 20000}, .it_value = {.tv_usec = 20000}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
  }
  pthread_t ids[64];
  atomic_store(&binds_left, binds);
  for (int i = 0; i < threads; ++i) pthread_create(&ids[i], NULL, storm_thread, NULL);
  // The kernel prefers the first thread, which binds nothing.
  sigset_t alarm;
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  pthread_sigmask(SIG_BLOCK, &alarm, NULL);
  for (int i = 0; i < threads; ++i) pthread_join(ids[i], NULL);
  printf("%d %d %d\n", atomic_load(&failures), atomic_load(&first_error), atomic_load(&signals_handled));
  return 0;
}

static int dying(int count) {
  for (int i = 0; i < count; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      pthread_t id;
      atomic_store(&binds_left, 1 << 30);
      for (int thread = 0; thread < 4; ++thread) pthread_create(&id, NULL, storm_thread, NULL);
      const struct timespec time = {.tv_nsec = 1000 * (i % 300)};
      nanosleep(&time, NULL);
      _exit(0);
    }
    waitpid(child, NULL, 0);
  }
  return print_port(bind_port(SOCK_STREAM, 80));
}

static void await_line(void) {
  char line[8];
  if (read(0, line, sizeof line) <= 0) _exit(1);
}

static int killed(void) {
  setvbuf(stdout, NULL, _IONBF, 0);
  const pid_t child = fork();
  if (child == 0) {
    await_line();
    bind_port(SOCK_STREAM, 80);
    _exit(0);
  }
  int status = 0;
  printf("child %d\n", child);
  waitpid(child, &status, 0);
  printf("killed %d\n", WIFSIGNALED(status));
  await_line();
  return print_port(bind_port(SOCK_STREAM, 80));
}

static double nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return 1e9 * (double)now.tv_sec + (double)now.tv_nsec;
}

static int measure(const char* what, int calls) {
  const struct sockaddr_in any = {.sin_family = AF_INET};
  const double begin = nanoseconds();
  for (int i = 0; i < calls; ++i) {
    if (strcmp(what, "getpid") == 0) {
      syscall(SYS_getpid);
    } else {
      // The socket is bound after the first call; the others are refused by the kernel at once, after the guard.
      static int descriptor = -1;
      if (descriptor < 0) descriptor = socket(AF_INET, SOCK_DGRAM, 0);
      bind(descriptor, (const struct sockaddr*)&any, sizeof any);
    }
  }
  printf("%.1f\n", (nanoseconds() - begin) / calls);
  return 0;
}

// --- The sandbox. ---

#define NUMBER_IS(number, then) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, (then))
#define LOAD_NUMBER BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define LOAD_SECOND BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1]))
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define REFUSE BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)code)

static int install(struct sock_filter* filter, size_t count) {
  struct sock_fprog program = {.len = (unsigned short)count, .filter = filter};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

static int refuse(const char* what, int code, char** command) {
  struct sock_filter seccomp[] = {LOAD_NUMBER, NUMBER_IS(SYS_seccomp, 1), REFUSE, ALLOW};
  struct sock_filter killable[] = {LOAD_NUMBER, NUMBER_IS(SYS_seccomp, 3),
                                   LOAD_SECOND, BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 1U << 5, 0, 1),
                                   REFUSE,      ALLOW};
  struct sock_filter answer[] = {
      LOAD_NUMBER, NUMBER_IS(SYS_ioctl, 3),
      LOAD_SECOND, BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)SECCOMP_IOCTL_NOTIF_SEND, 0, 1),
      REFUSE,      ALLOW};
  struct sock_filter memory[] = {LOAD_NUMBER, BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_readv, 1, 0),
                                 NUMBER_IS(SYS_process_vm_writev, 1), REFUSE, ALLOW};
  int result = -1;
  if (strcmp(what, "seccomp") == 0) result = install(seccomp, sizeof seccomp / sizeof *seccomp);
  if (strcmp(what, "killable") == 0) result = install(killable, sizeof killable / sizeof *killable);
  if (strcmp(what, "answer") == 0) result = install(answer, sizeof answer / sizeof *answer);
  if (strcmp(what, "memory") == 0) result = install(memory, sizeof memory / sizeof *memory);
  if (result != 0) {
    perror("seccomp");
    return 125;
  }
  execvp(command[0], command);
  perror(command[0]);
  return 127;
}

int main(int argc, char** argv) {
  const char* const what = argc > 1 ? argv[1] : "";
  const int number = argc > 2 ? atoi(argv[2]) : 0;
  if (strcmp(what, "constant") == 0) return constant();
  if (strcmp(what, "unspecified") == 0) return unspecified((uint16_t)number);
  if (strcmp(what, "other") == 0 && argc > 2) return other(argv[2]);
  if (strcmp(what, "private") == 0) {
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    return print_port(bind_port(SOCK_STREAM, (uint16_t)number));
  }
  if (strcmp(what, "storm") == 0 && argc > 3) return storm(number, atoi(argv[3]), argc > 4, argc > 5 ? 0 : SA_RESTART);
  if (strcmp(what, "dying") == 0) return dying(number);
  if (strcmp(what, "killed") == 0) return killed();
  if (strcmp(what, "getpid") == 0 || strcmp(what, "bind") == 0) return measure(what, number);
  if (strcmp(what, "refuse") == 0 && argc > 4) return refuse(argv[2], atoi(argv[3]), argv + 4);
  fputs("see the top of binder.c\n", stderr);
  return 2;
}
