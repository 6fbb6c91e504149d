/* A driver without a GPU, behind the names of libnvidia-ml.so.1. What it does is read at each call from the file that
 * FAKE_NVML names: words, one a line, of the form KEY or KEY=VALUE.
 *
 *   devices=N      how many devices there are (2)
 *   mig=N          device 0 is divided into N instances, in places 0, 2, 4 ...
 *   lost=D         device D is lost: every call about it says so
 *   gone           the driver was unloaded: every call says so
 *   FUNCTION=CODE  that call fails with that code, for all devices; FUNCTION.D=CODE for device D
 *   hang=FUNCTION  that call does not return while the line is there
 *   xid=D.NUMBER.N the N-th event: device D tells that XID
 *   energy=MJ, throttle=BITS, uncorrected=N, pending=N, processes=N
 *   busy=PERCENT, moving=PERCENT, used=MIB, degrees=C, milliwatts=MW, process=MIB, links=BYTES; KEY.D=VALUE for device D
 *
 * Built with -DOLD it lacks what drivers before R535 lack.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int Return;
typedef struct device *Device;
typedef unsigned long long Long;
enum { OK, UNINITIALIZED, INVALID, NOT_SUPPORTED, NO_PERMISSION, NOT_FOUND = 6, SMALL = 7, NOT_LOADED = 9, TIMEOUT = 10, LOST = 15 };

struct device { int index, part; };
static struct device devices[64], parts[8];
static int initialized, told;

static int said(const char *key, char *value) {
    char line[128];
    const char *path = getenv("FAKE_NVML");
    FILE *file = path ? fopen(path, "r") : NULL;
    size_t length = strlen(key);
    int found = 0;
    if (!file) return 0;
    while (!found && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (!strncmp(line, key, length) && (line[length] == '=' || !line[length])) {
            if (value) strcpy(value, line[length] ? line + length + 1 : "");
            found = 1;
        }
    }
    fclose(file);
    return found;
}

static Long number(const char *key, Long otherwise) {
    char value[128];
    return said(key, value) ? strtoull(value, NULL, 10) : otherwise;
}

static Long of(const char *key, Device device, Long otherwise) {
    char one[128];
    snprintf(one, sizeof one, "%s.%d", key, device->index);
    return number(one, number(key, otherwise));
}

static int hangs(const char *function) {
    char value[128];
    return said("hang", value) && !strcmp(value, function);
}

/* What keeps this call from answering, or OK. */
static Return refused(const char *function, Device device) {
    char key[128];
    while (hangs(function)) usleep(10000);
    if (!initialized) return UNINITIALIZED;
    if (said("gone", NULL)) return NOT_LOADED;
    if (device) {
        if ((int)number("lost", -1) == device->index) return LOST;
        snprintf(key, sizeof key, "%s.%d", function, device->index);
        if (said(key, NULL)) return (Return)number(key, 0);
    }
    return (Return)number(function, 0);
}

#define ASK(function, device) do { Return why = refused(function, device); if (why) return why; } while (0)
#define WHOLE(device) do { if ((device)->part >= 0) return NOT_SUPPORTED; } while (0)

Return nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    for (int index = 0; index < 64; index++) devices[index] = (struct device){index, -1};
    for (int part = 0; part < 8; part++) parts[part] = (struct device){0, part};
    if (said("gone", NULL)) return NOT_LOADED;
    if (said("init", NULL)) return (Return)number("init", 0);
    initialized++;
    return OK;
}
Return nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
Return nvmlShutdown(void) { if (!initialized) return UNINITIALIZED; initialized--; return OK; }

const char *nvmlErrorString(Return code) {
    return code == LOST ? "GPU is lost" : code == NO_PERMISSION ? "Insufficient Permissions" :
        code == NOT_LOADED ? "Driver Not Loaded" : code == NOT_SUPPORTED ? "Not Supported" : "Unknown Error";
}

Return nvmlSystemGetDriverVersion(char *text, unsigned size) { ASK("version", NULL); snprintf(text, size, "570.86.15"); return OK; }
Return nvmlDeviceGetCount_v2(unsigned *count) { ASK("count", NULL); *count = (unsigned)number("devices", 2); return OK; }
Return nvmlDeviceGetHandleByIndex_v2(unsigned index, Device *device) {
    if (index >= number("devices", 2)) return INVALID;
    ASK("handle", &devices[index]);
    *device = &devices[index];
    return OK;
}
Return nvmlDeviceGetUUID(Device device, char *text, unsigned size) {
    ASK("uuid", device);
    if (device->part >= 0) snprintf(text, size, "MIG-00000000-0000-0000-0000-00000000000%d", device->part);
    else snprintf(text, size, "GPU-00000000-0000-0000-0000-00000000000%d", device->index);
    return OK;
}
Return nvmlDeviceGetName(Device device, char *text, unsigned size) {
    ASK("name", device);
    snprintf(text, size, device->part >= 0 ? "NVIDIA H200 MIG 1g.18gb" : "NVIDIA H200");
    return OK;
}
Return nvmlDeviceGetSerial(Device device, char *text, unsigned size) { ASK("serial", device); snprintf(text, size, "165%d", device->index); return OK; }
Return nvmlDeviceGetVbiosVersion(Device device, char *text, unsigned size) { ASK("vbios", device); snprintf(text, size, "96.00.74"); return OK; }

struct utilization { unsigned gpu, memory; };
Return nvmlDeviceGetUtilizationRates(Device device, struct utilization *rates) {
    ASK("utilization", device); WHOLE(device);
    if (device->index == 0 && number("mig", 0)) return NOT_SUPPORTED;
    *rates = (struct utilization){(unsigned)of("busy", device, 37), (unsigned)of("moving", device, 12)};
    return OK;
}
struct memory { Long total, free, used; };
Return nvmlDeviceGetMemoryInfo(Device device, struct memory *memory) {
    ASK("memory", device);
    *memory = (struct memory){1ULL << 34, 0, device->part >= 0 ? 1ULL << 28 : of("used", device, 1024) << 20};
    return OK;
}
Return nvmlDeviceGetTemperature(Device device, int sensor, unsigned *degrees) { (void)sensor; ASK("temperature", device); WHOLE(device); *degrees = (unsigned)of("degrees", device, 61); return OK; }
Return nvmlDeviceGetTemperatureThreshold(Device device, int which, unsigned *degrees) { ASK("threshold", device); *degrees = which ? 87 : 92; return OK; }
Return nvmlDeviceGetPowerUsage(Device device, unsigned *milliwatts) { ASK("power", device); *milliwatts = (unsigned)of("milliwatts", device, 412500); return OK; }
Return nvmlDeviceGetEnforcedPowerLimit(Device device, unsigned *milliwatts) { ASK("power_limit", device); *milliwatts = 700000; return OK; }
Return nvmlDeviceGetTotalEnergyConsumption(Device device, Long *millijoules) { ASK("energy_read", device); *millijoules = of("energy", device, 5000); return OK; }
Return nvmlDeviceGetTotalEccErrors(Device device, int kind, int counter, Long *count) {
    (void)counter;
    ASK("ecc", device);
    *count = kind ? number("uncorrected", 0) : 3;
    return OK;
}
Return nvmlDeviceGetClockInfo(Device device, int clock, unsigned *megahertz) { ASK("clock", device); *megahertz = 1980 - (unsigned)clock; return OK; }
Return nvmlDeviceGetEncoderUtilization(Device device, unsigned *percent, unsigned *period) { ASK("encoder", device); *percent = 5; *period = 1000; return OK; }
Return nvmlDeviceGetDecoderUtilization(Device device, unsigned *percent, unsigned *period) { ASK("decoder", device); *percent = 7; *period = 1000; return OK; }
Return nvmlDeviceGetCurrentClocksThrottleReasons(Device device, Long *bits) { ASK("throttled", device); *bits = number("throttle", 4); return OK; }
#ifndef OLD
Return nvmlDeviceGetCurrentClocksEventReasons(Device device, Long *bits) { ASK("throttled", device); *bits = number("throttle", 4); return OK; }
#endif
Return nvmlDeviceGetPcieThroughput(Device device, int counter, unsigned *kilobytes) { ASK("pcie", device); *kilobytes = counter ? 2000 : 1000; return OK; }
Return nvmlDeviceGetRemappedRows(Device device, unsigned *corrected, unsigned *uncorrected, unsigned *pending, unsigned *failure) {
    ASK("rows", device);
    *corrected = *uncorrected = 0;
    *pending = number("pending", 0) == 1;
    *failure = number("pending", 0) == 2;
    return OK;
}

struct field { unsigned id, scope; long long timestamp, latency; int type, code; union { double d; unsigned u; Long l; } value; };
Return nvmlDeviceGetFieldValues(Device device, int count, struct field *fields) {
    ASK("fields", device);
    for (int at = 0; at < count; at++) {
        struct field *field = &fields[at];
        field->code = OK;
        field->type = 3;
        if (field->id == 138 || field->id == 139) {
            if (field->scope != 0xFFFFFFFF) field->code = INVALID;
            field->value.l = of("links", device, 0) / 1024 + (field->id == 138 ? 2048 : 1024);
        } else if (field->id == 82) {
            field->type = 1;
            field->value.u = 70;
#ifndef OLD
        } else if (field->id == 197 || field->id == 198) {
            field->value.l = of("links", device, 0) / 2048 + (field->id == 197 ? 4000 : 3000);
#endif
        } else field->code = INVALID;
    }
    return OK;
}

struct process { unsigned pid; Long used; unsigned gpu_instance, compute_instance; };
static Return running(Device device, unsigned *count, struct process *found, unsigned base) {
    unsigned present = (unsigned)number("processes", 2);
    ASK("processes_read", device);
    if (*count < present) { *count = present; return present ? SMALL : OK; }
    for (unsigned at = 0; at < present; at++)
        found[at] = (struct process){base + at, at == 0 ? (Long)-1 : of("process", device, at + (unsigned)(device->part + 2)) << 20, 0, 0};
    *count = present;
    return OK;
}
Return nvmlDeviceGetComputeRunningProcesses_v2(Device device, unsigned *count, struct process *found) { return running(device, count, found, 100); }
Return nvmlDeviceGetGraphicsRunningProcesses_v2(Device device, unsigned *count, struct process *found) { return running(device, count, found, 100); }
#ifndef OLD
Return nvmlDeviceGetComputeRunningProcesses_v3(Device device, unsigned *count, struct process *found) { return running(device, count, found, 100); }
Return nvmlDeviceGetGraphicsRunningProcesses_v3(Device device, unsigned *count, struct process *found) { return running(device, count, found, 100); }
#endif

Return nvmlDeviceGetMigMode(Device device, unsigned *current, unsigned *pending) {
    ASK("mig_mode", device);
    if (device->index) return NOT_SUPPORTED;
    *current = *pending = number("mig", 0) > 0;
    return OK;
}
Return nvmlDeviceGetMaxMigDeviceCount(Device device, unsigned *count) { ASK("mig_count", device); *count = 7; return OK; }
Return nvmlDeviceGetMigDeviceHandleByIndex(Device device, unsigned index, Device *part) {
    ASK("mig_handle", device);
    if (index % 2 || index / 2 >= number("mig", 0)) return NOT_FOUND;
    *part = &parts[index / 2];
    return OK;
}

struct event { Device device; Long type, data; unsigned gpu_instance, compute_instance; };
Return nvmlEventSetCreate(int **set) { ASK("events", NULL); *set = calloc(1, sizeof **set); return OK; }
Return nvmlEventSetFree(int *set) { free(set); return OK; }
Return nvmlDeviceRegisterEvents(Device device, Long types, int *set) { ASK("register", device); *set |= (int)types; return OK; }
Return nvmlEventSetWait_v2(int *set, struct event *event, unsigned milliseconds) {
    char value[128];
    int device, xid, turn;
    for (unsigned waited = 0; waited <= milliseconds; waited += 10) {
        ASK("wait", NULL);
        if (said("xid", value) && sscanf(value, "%d.%d.%d", &device, &xid, &turn) == 3 && turn > told) {
            told = turn;
            *event = (struct event){&devices[device], (Long)*set, (Long)xid, 0, 0};
            return OK;
        }
        usleep(10000);
    }
    return TIMEOUT;
}
