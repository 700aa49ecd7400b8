/*
 * proxy_more.c - the tests of test/e2e/proxy.c through the other proxies: a program of its own, so
 * that neither runs for too long.
 */
#define PROXY_FIRST 5
#define PROXY_END   proxy_kinds_n

#include "test/e2e/proxy.c" /* NOLINT(bugprone-suspicious-include) */
