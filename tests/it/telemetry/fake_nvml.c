/* A stand-in for NVIDIA's libnvidia-ml.so.1 with two cards: the functions that Arcology calls, with the signatures and
 * return codes of NVML's public interface (docs.nvidia.com/deploy/nvml-api). What it does stands in the file STATE, which is
 * read at each call, so that a test can pull a card out while somebody looks. Each initialisation appends a byte to the file INITS.
 * Built with -DOLD it lacks what drivers before version 510 lack. */
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NO_PERMISSION = 4, NOT_FOUND = 6,
       INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15 };

typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory_v2;
typedef struct { unsigned gpu, memory; } utilization;
typedef struct { unsigned pid; unsigned long long bytes; unsigned gpu_instance, compute_instance; } process;

#define GB (1ull << 30)
static int ready;      /* between init and shutdown */
static int bad_handle; /* a card was lost: its handle stays bad until the library is initialised anew */

static void state(char *word, size_t size) {
    FILE *file = fopen(STATE, "r");
    word[0] = 0;
    if (file) {
        if (!fgets(word, (int)size, file)) word[0] = 0;
        fclose(file);
    }
}

static int is(const char *wanted) {
    char word[64];
    state(word, sizeof word);
    return strcmp(word, wanted) == 0;
}

int nvmlInit_v2(void) {
    FILE *inits = fopen(INITS, "a");
    if (inits) { fputc('i', inits); fclose(inits); }
    if (is("unloaded")) return DRIVER_NOT_LOADED;
    if (is("forbidden")) return NO_PERMISSION;
    ready = 1;
    bad_handle = 0;
    return SUCCESS;
}

int nvmlShutdown(void) { ready = 0; return SUCCESS; }

int nvmlSystemGetDriverVersion(char *text, unsigned size) {
    snprintf(text, size, "580.65.06");
    return SUCCESS;
}

int nvmlDeviceGetCount_v2(unsigned *count) {
    if (!ready || is("unloaded")) return UNINITIALIZED;
    while (is("hang")) {
        struct timespec pause = { 0, 1000000 };
        nanosleep(&pause, 0);
    }
    *count = is("none") ? 0 : is("crowded") ? 4000000000u : 2;
    return SUCCESS;
}

/* A handle is the card's index plus one. */
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    if (index > 1) return INVALID_ARGUMENT;
    if (index == 1 && is("silent")) return GPU_IS_LOST;
    *device = (void *)(size_t)(index + 1);
    return SUCCESS;
}

static int first(void *device) { return device == (void *)1; }

static int usable(void *device) {
    if (!first(device) && is("lost")) bad_handle = 1;
    return !first(device) && bad_handle ? GPU_IS_LOST : SUCCESS;
}

int nvmlDeviceGetUUID(void *device, char *text, unsigned size) {
    snprintf(text, size, first(device) ? "GPU-11111111-aaaa" : "GPU-22222222-bbbb");
    return SUCCESS;
}

int nvmlDeviceGetName(void *device, char *text, unsigned size) {
    snprintf(text, size, is("absurd") ? "\033[2J\nRTX" : first(device) ? "Fake RTX 5090" : "Fake RTX 3060");
    return SUCCESS;
}

#ifndef OLD
int nvmlDeviceGetMemoryInfo_v2(void *device, memory_v2 *memory) {
    int code = usable(device);
    if (code != SUCCESS) return code;
    memory->total = (first(device) ? 32 : 12) * GB;
    memory->reserved = GB / 2;
    memory->used = (first(device) && is("loaded") ? 17 : 9) * GB;
    memory->free = memory->total - memory->used - memory->reserved;
    if (is("absurd") && first(device)) memory->free = ~0ull;
    return SUCCESS;
}
#endif

int nvmlDeviceGetUtilizationRates(void *device, utilization *rates) {
    if (!first(device)) return NOT_SUPPORTED;
    rates->gpu = is("absurd") ? 4000000000u : 63;
    rates->memory = 10;
    return SUCCESS;
}

int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *degrees) {
    (void)sensor;
    *degrees = is("absurd") ? 4000000000u : 61;
    return first(device) ? SUCCESS : usable(device);
}

#ifndef OLD
static int list(unsigned *count, process *list, unsigned n, const process *have) {
    if (is("absurd")) {
        *count = 4000000000u;
        return INSUFFICIENT_SIZE;
    }
    if (*count < n || !list) {
        *count = n;
        return INSUFFICIENT_SIZE;
    }
    memcpy(list, have, n * sizeof *have);
    *count = n;
    return SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, process *found) {
    process have[] = { { 4711, GB / 2, 0, 0 }, { 4712, 8 * GB, 0, 0 } };
    return list(count, found, first(device) ? 2 : 0, have);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(void *device, unsigned *count, process *found) {
    process have[] = { { 4711, GB / 2, 0, 0 }, { 99, ~0ull, 0, 0 } };
    return list(count, found, first(device) ? 2 : 0, have);
}
#endif

int nvmlSystemGetProcessName(unsigned pid, char *name, unsigned size) {
    if (pid == 99) return NOT_FOUND;
    snprintf(name, size, pid == 4712 ? "/opt/llama/llama-server --api-key hunter2" : "/usr/lib/xorg/Xorg");
    return SUCCESS;
}
