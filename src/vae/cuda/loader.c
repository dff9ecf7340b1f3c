/* The functions of the CUDA libraries, forwarded to libraries that are loaded when they are first used.
 *
 * Each function is one jump through a pointer. Until its library is loaded, and for good where the library does not have
 * it, the pointer leads to a function that answers with an error of that library. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "functions.h"

/* CUDA_ERROR_STUB_LIBRARY, CUBLAS_STATUS_NOT_INITIALIZED, CURAND_STATUS_NOT_INITIALIZED, cudaErrorStubLibrary. */
static int no_driver(void) { return 34; }
static int no_blas(void) { return 1; }
static int no_random(void) { return 101; }
static int no_runtime(void) { return 34; }

#if defined(__x86_64__)
#define JUMP(name) "jmp *outlierd_at_" #name "(%rip)\n"
#elif defined(__aarch64__)
#define JUMP(name) "adrp x16, outlierd_at_" #name "\nldr x16, [x16, :lo12:outlierd_at_" #name "]\nbr x16\n"
#else
#error "CUDA is not supported on this processor"
#endif

#define FORWARD(name)                                                                                                  \
    __asm__(".text\n.globl " #name "\n.hidden " #name "\n.type " #name ", %function\n" #name ":\n" JUMP(name)          \
            ".size " #name ", . - " #name "\n");
#define POINTER(missing, name) __attribute__((visibility("hidden"))) int (*outlierd_at_##name)(void) = missing;

#define DRIVER(name) POINTER(no_driver, name) FORWARD(name)
#define BLAS(name) POINTER(no_blas, name) FORWARD(name)
#define RANDOM(name) POINTER(no_random, name) FORWARD(name)
#define RUNTIME(name) POINTER(no_runtime, name) FORWARD(name)
DRIVER_FUNCTIONS(DRIVER)
BLAS_FUNCTIONS(BLAS)
BLAS_LT_FUNCTIONS(BLAS)
RANDOM_FUNCTIONS(RANDOM)
/* The runtime is never loaded: only kernels that outlierd does not use would need it. */
RUNTIME_FUNCTIONS(RUNTIME)

/* Looks where the loader looks, then where toolkits are installed. */
static void *open_library(const char *name)
{
    void *library = dlopen(name, RTLD_NOW | RTLD_GLOBAL);
    const char *roots[] = {getenv("CUDA_HOME"), getenv("CUDA_PATH"), "/usr/local/cuda", "/opt/cuda"};
    const char *folders[] = {"lib64", "lib", "targets/x86_64-linux/lib"};
    for (size_t root = 0; root < sizeof roots / sizeof *roots; root++)
        for (size_t folder = 0; !library && roots[root] && folder < sizeof folders / sizeof *folders; folder++) {
            char path[4096];
            int length = snprintf(path, sizeof path, "%s/%s/%s", roots[root], folders[folder], name);
            if (length > 0 && (size_t)length < sizeof path)
                library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
        }
    return library;
}

#define FIND(name)                                                                                                     \
    if ((found = dlsym(library, #name)))                                                                               \
        outlierd_at_##name = (int (*)(void))found;

#define LOAD(file, functions)                                                                                          \
    if (!(library = open_library(file))) {                                                                             \
        dlopen(file, RTLD_NOW);                                                                                        \
        *error = dlerror();                                                                                            \
        return file;                                                                                                   \
    }                                                                                                                  \
    functions(FIND)

/* Loads all libraries. Answers with the name of the one that cannot be loaded, and `error` says why; else with nothing.
 * To be called from one thread at a time, before the first use. */
const char *outlierd_cuda_load(const char **error)
{
    void *library, *found;
    LOAD("libcuda.so.1", DRIVER_FUNCTIONS)
    LOAD("libcublasLt.so." CUBLAS_MAJOR, BLAS_LT_FUNCTIONS)
    LOAD("libcublas.so." CUBLAS_MAJOR, BLAS_FUNCTIONS)
    LOAD("libcurand.so." CURAND_MAJOR, RANDOM_FUNCTIONS)
    return NULL;
}
