// The COMMAND of black-box tests: says as one JSON object on stdout what it was given by whoever executed it.
//
//   probe [--bind=ADDRESS:PORT] [--exit=N] [ANYTHING...]
//
// --bind tries a TCP bind and listen as Kestrel does, and adds "bind": the errno (0 = it listens). --exit ends with N.
// Both must come first; everything after them is only reported. Bytes that may be anything are in hexadecimal. It is
// linked statically, so that no dynamic loader has touched what it reports.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

extern char** environ;

static void print_hex(const char* text) {
  putchar('"');
  for (const char* byte = text; *byte != '\0'; ++byte) printf("%02x", (unsigned)(unsigned char)*byte);
  putchar('"');
}

static void print_strings(const char* key, char** strings) {
  printf("\"%s\":[", key);
  for (char** string = strings; *string != NULL; ++string) {
    if (string != strings) putchar(',');
    print_hex(*string);
  }
  printf("],");
}

static bool is_blocked(int number) {
  sigset_t mask;
  return sigprocmask(SIG_BLOCK, NULL, &mask) == 0 && sigismember(&mask, number) == 1;
}

static bool is_ignored(int number) {
  struct sigaction action;
  return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static void print_signals(const char* key, bool (*is_member)(int)) {
  printf("\"%s\":[", key);
  const char* separator = "";
  for (int number = 1; number < NSIG; ++number) {
    if (!is_member(number)) continue;
    printf("%s%d", separator, number);
    separator = ",";
  }
  printf("],");
}

// Descriptor by descriptor with what it is open on; the one that reads the directory is left out.
static void print_descriptors(void) {
  printf("\"descriptors\":{");
  DIR* directory = opendir("/proc/self/fd");
  const char* separator = "";
  for (struct dirent* entry = NULL; directory != NULL && (entry = readdir(directory)) != NULL;) {
    char target[PATH_MAX];
    const long descriptor = strtol(entry->d_name, NULL, 10);
    if (entry->d_name[0] == '.' || descriptor == dirfd(directory)) continue;
    const ssize_t length = readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1);
    target[length < 0 ? 0 : length] = '\0';
    printf("%s\"%ld\":", separator, descriptor);
    print_hex(target);
    separator = ",";
  }
  printf("},");
  if (directory != NULL) closedir(directory);
}

static void print_limits(void) {
  printf("\"limits\":[");
  for (int resource = 0; resource < (int)RLIM_NLIMITS; ++resource) {
    struct rlimit limit = {0};
    getrlimit((__rlimit_resource_t)resource, &limit);
    printf("%s[%lld,%lld]", resource == 0 ? "" : ",", (long long)limit.rlim_cur, (long long)limit.rlim_max);
  }
  printf("],");
}

// Identity and capabilities as /proc/self/status words them.
static void print_status(void) {
  static const char* const kWanted[] = {"Uid",    "Gid",    "Groups", "CapInh",     "CapPrm",
                                        "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"};
  printf("\"status\":{");
  FILE* file = fopen("/proc/self/status", "re");
  char line[4096];
  const char* separator = "";
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    char* value = strchr(line, ':');
    if (value == NULL) continue;
    *value++ = '\0';
    for (size_t i = 0; i < sizeof kWanted / sizeof *kWanted; ++i) {
      if (strcmp(line, kWanted[i]) != 0) continue;
      printf("%s\"%s\":\"", separator, line);
      for (const char* word = strtok(value, " \t\n"); word != NULL; word = strtok(NULL, " \t\n")) printf("%s ", word);
      printf("\"");
      separator = ",";
    }
  }
  printf("},");
  if (file != NULL) fclose(file);
}

static int read_oom_score_adj(void) {
  char text[16] = {0};
  const int file = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
  const ssize_t length = read(file, text, sizeof text - 1);
  if (file >= 0) close(file);
  return length > 0 ? (int)strtol(text, NULL, 10) : 0;
}

// Kestrel's socket: SO_REUSEADDR is what .NET sets on Linux, "::" is dual-mode. `where` is ADDRESS:PORT.
static int try_bind(const char* where) {
  const char* colon = strrchr(where, ':');
  char address[INET6_ADDRSTRLEN] = {0};
  if (colon == NULL || (size_t)(colon - where) >= sizeof address) return EINVAL;
  memcpy(address, where, (size_t)(colon - where));
  const in_port_t port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = port};
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = port};
  const bool is_v6 = inet_pton(AF_INET6, address, &v6.sin6_addr) == 1;
  if (!is_v6 && inet_pton(AF_INET, address, &v4.sin_addr) != 1) return EINVAL;

  const int on = 1;
  const int off = 0;
  const int listener = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0) return errno;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (is_v6) setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  const struct sockaddr* name = is_v6 ? (const struct sockaddr*)&v6 : (const struct sockaddr*)&v4;
  if (bind(listener, name, is_v6 ? sizeof v6 : sizeof v4) != 0) return errno;
  return listen(listener, SOMAXCONN) == 0 ? 0 : errno;
}

int main(int argc, char** argv) {
  int code = 0;
  // Descriptors first: try_bind opens one.
  putchar('{');
  print_descriptors();
  for (int i = 1; i < argc; ++i) {
    if (strncmp(argv[i], "--bind=", 7) == 0) {
      printf("\"bind\":%d,", try_bind(argv[i] + 7));
    } else if (strncmp(argv[i], "--exit=", 7) == 0) {
      code = (int)strtol(argv[i] + 7, NULL, 10);
    } else {
      break;
    }
  }
  print_strings("argv", argv);
  print_strings("environment", environ);
  print_signals("blocked", is_blocked);
  print_signals("ignored", is_ignored);
  print_limits();
  print_status();

  char directory[PATH_MAX] = {0};
  const mode_t mask = umask(0);
  printf("\"cwd\":");
  print_hex(getcwd(directory, sizeof directory) == NULL ? "" : directory);
  printf(",\"umask\":%u,\"pid\":%d,\"ppid\":%d,", (unsigned)mask, (int)getpid(), (int)getppid());
  int death_signal = 0;
  prctl(PR_GET_PDEATHSIG, &death_signal);
  printf("\"death_signal\":%d,\"oom_score_adj\":%d,\"nice\":%d}\n", death_signal, read_oom_score_adj(),
         getpriority(PRIO_PROCESS, 0));
  return fflush(stdout) == 0 ? code : 1;
}
