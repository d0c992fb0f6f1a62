#define _XOPEN_SOURCE 700 /* nftw */
/* What of OpenCL needs no device: the cache of built programs, and the rounding of what is
 * uploaded. */
#include "opencl_cases.h"

#include <fcntl.h>
#include <math.h>

#include "base/memory.h"

/* ---- The cache, which needs no device -------------------------------------------------------- */

static const struct ocl_device paper_device = {.platform_name = "platform",
                                               .name = "device",
                                               .driver = "1"};
static const unsigned char payload[] = "a program that a driver built";

static struct ocl_cache_key key_of(const char *source)
{
    struct ocl_cache_key key;
    ocl_cache_key_make(&paper_device, &source, 1, &key);
    return key;
}

static void entry_name(const struct ocl_cache_key *key, char path[256])
{
    int n = snprintf(path, 256, "%s/toto/", getenv("XDG_CACHE_HOME"));
    for (size_t i = 0; i < sizeof key->hash; i++)
        n += snprintf(path + n, 256 - (size_t)n, "%02x", key->hash[i]);
    snprintf(path + n, 256 - (size_t)n, ".clb");
}

static bool cached(const struct ocl_cache_key *key)
{
    size_t bytes = 0;
    unsigned char *found = ocl_cache_load(key, &bytes);
    bool good = found && bytes == sizeof payload && memcmp(found, payload, bytes) == 0;
    assert_true(good || !found);
    mem_free(found);
    return good;
}

static void test_cache(void **state)
{
    (void)state;
    char path[256], other[256], whole[sizeof payload + 80];
    struct ocl_cache_key key = key_of("kernel a"), second = key_of("kernel b");
    struct stat info;
    cache_here("entries");
    assert_memory_not_equal(key.hash, second.hash, sizeof key.hash);
    assert_false(cached(&key));
    ocl_cache_store(&key, payload, sizeof payload);
    assert_true(cached(&key));
    assert_false(cached(&second));
    entry_name(&key, path);
    entry_name(&second, other);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(info.st_size, sizeof whole);

    int fd = open(path, O_RDONLY);
    assert_int_equal(read(fd, whole, sizeof whole), sizeof whole);
    close(fd);
    for (size_t i = 0; i < sizeof whole; i++) { /* any bit */
        whole[i] ^= (char)(1 << i % 8);
        fd = open(path, O_WRONLY | O_TRUNC);
        assert_int_equal(write(fd, whole, sizeof whole), sizeof whole);
        close(fd);
        assert_false(cached(&key));
        whole[i] ^= (char)(1 << i % 8);
    }
    for (size_t length = 0; length < sizeof whole; length += 7) { /* cut */
        fd = open(path, O_WRONLY | O_TRUNC);
        assert_int_equal(write(fd, whole, length), length);
        close(fd);
        assert_false(cached(&key));
    }
    ocl_cache_store(&key, payload, sizeof payload); /* replaced */
    assert_true(cached(&key));
    assert_int_equal(rename(path, other), 0); /* another's entry */
    assert_false(cached(&second));
    assert_int_equal(symlink(other, path), 0);
    assert_false(cached(&key));
}

static void test_cache_keys_differ(void **state)
{
    (void)state;
    const char *ab_c[] = {"ab", "c"}, *a_bc[] = {"a", "bc"};
    struct ocl_device other = paper_device;
    struct ocl_cache_key one, two;
    ocl_cache_key_make(&paper_device, ab_c, 2, &one);
    ocl_cache_key_make(&paper_device, a_bc, 2, &two);
    assert_memory_not_equal(one.hash, two.hash, sizeof one.hash);
    snprintf(other.driver, sizeof other.driver, "2");
    ocl_cache_key_make(&other, ab_c, 2, &two);
    assert_memory_not_equal(one.hash, two.hash, sizeof one.hash);
}

static void test_cache_folders(void **state)
{
    (void)state;
    char path[256];
    struct ocl_cache_key key = key_of("kernel c");
    struct stat info;

    cache_here("kept/in/a/deep/folder");
    ocl_cache_store(&key, payload, sizeof payload);
    assert_true(cached(&key));
    snprintf(path, sizeof path, "%s/toto", getenv("XDG_CACHE_HOME"));
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_int_equal(chmod(path, 0777), 0); /* others could put programs there */
    assert_false(cached(&key));
    assert_int_equal(chmod(path, 0700), 0);
    assert_true(cached(&key));
    setenv("TOTO_CACHE", "off", 1);
    assert_false(cached(&key));
    unsetenv("TOTO_CACHE");

    static const char *const without[] = {"/proc/none", "/dev/null", "relative"};
    char *home = getenv("HOME") ? mem_strdup(getenv("HOME")) : NULL;
    unsetenv("HOME");
    for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
        setenv("XDG_CACHE_HOME", without[i], 1);
        ocl_cache_store(&key, payload, sizeof payload);
        assert_false(cached(&key));
    }
    unsetenv("XDG_CACHE_HOME");
    setenv("HOME", folder, 1);
    ocl_cache_store(&key, payload, sizeof payload);
    assert_true(cached(&key));
    if (home)
        setenv("HOME", home, 1);
    mem_free(home);
    cache_here("cache");
}

/* ---- Rounding -------------------------------------------------------------------------------- */

static void test_narrow(void **state)
{
    (void)state;
    static const struct {
        float in;
        uint16_t f16, bf16;
    } cases[] = {
        {0.0f, 0, 0},
        {-0.0f, 0x8000, 0x8000},
        {1.0f, 0x3C00, 0x3F80},
        {-2.5f, 0xC100, 0xC020},
        {1.0f + 0x1p-11f, 0x3C00, 0x3F80}, /* ties go to even */
        {1.0f + 0x3p-11f, 0x3C02, 0x3F80},
        {1.0f + 0x1p-8f, 0x3C04, 0x3F80},
        {1.0f + 0x3p-8f, 0x3C0C, 0x3F82},
        {0x1p-14f, 0x0400, 0x3880},
        {0x1p-24f, 0x0001, 0x3380},
        {0x1p-25f, 0x0000, 0x3300},
        {0x1.8p-24f, 0x0002, 0x33C0},
        {0x1.ff8p-15f, 0x03FF, 0x3880},
        {0x1.ffcp-15f, 0x0400, 0x3880},
        {65504.0f, 0x7BFF, 0x4780},
        {65520.0f, 0x7BFF, 0x4780},
        {-1e30f, 0xFBFF, 0xF14A},
        {INFINITY, 0x7C00, 0x7F80},
        {-INFINITY, 0xFC00, 0xFF80},
        {3.4e38f, 0x7BFF, 0x7F80},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint16_t got;
        ocl_narrow(DTYPE_F16, &cases[i].in, 1, &got);
        assert_int_equal(got, cases[i].f16);
        ocl_narrow(DTYPE_BF16, &cases[i].in, 1, &got);
        assert_int_equal(got, cases[i].bf16);
    }
    float wide;
    uint16_t got;
    for (uint32_t bits = 0; bits < 0x10000; bits++) { /* what a type holds comes back as it was */
        uint16_t half = (uint16_t)bits;
        static const enum dtype types[] = {DTYPE_F16, DTYPE_BF16};
        for (size_t t = 0; t < 2; t++) {
            dtype_widen(types[t], &half, 1, &wide);
            ocl_narrow(types[t], &wide, 1, &got);
            if (isnan(wide))
                dtype_widen(types[t], &got, 1, &wide), assert_true(isnan(wide));
            else
                assert_int_equal(got, half);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cache),
        cmocka_unit_test(test_cache_keys_differ),
        cmocka_unit_test(test_cache_folders),
        cmocka_unit_test(test_narrow),
    };
    return cmocka_run_group_tests_name("opencl_cache", tests, folder_make, folder_remove);
}
