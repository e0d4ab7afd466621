package main

import (
	"context"
	"errors"
)

// cacheBenchmarks are those of the packages that have a cache, or could.
var cacheBenchmarks = []struct{ name, metric, what string }{
	{"BenchmarkCache/session/floor", "session/floor", "floor: plain GET of 600 bytes from a Redis on this machine"},
	{"BenchmarkCache/session/memory", "session/look-memory", "look for 600 bytes, in this process"},
	{"BenchmarkCache/session/redis", "session/look-redis", "look for 600 bytes in a Redis: name, GET, opened and checked"},
	{"BenchmarkCache/session/redis-miss", "session/look-miss", "look for what is not in the Redis"},
	{"BenchmarkCacheSession/none", "session/none", "whose a token is, from Postgres"},
	{"BenchmarkCacheSession/redis", "session/redis", "whose a token is, from a Redis that another hub told, the epochs included"},
	{"BenchmarkCacheSession/redis-miss", "session/miss", "whose a token is, not in the Redis and then from Postgres"},
	{"BenchmarkCacheSession/memory", "session/memory", "whose a token is, from this process"},
	{"BenchmarkCache/manifests/floor", "render/floor", "floor: plain GET of 1 MiB from a Redis on this machine"},
	{"BenchmarkCache/manifests/redis", "render/look-redis", "look for 1 MiB in a Redis: name, GET, opened and checked"},
	{"BenchmarkCacheRender/none", "render/none", "250 plain objects of 1 MB, rendered by a worker"},
	{"BenchmarkCacheRender/redis", "render/redis", "the same at a hub that has just started, of a Redis: trace and manifests, files compared, objects read"},
	{"BenchmarkCacheRender/memory", "render/memory", "the same of this process"},
	{"BenchmarkCache/page/floor", "list/floor", "floor: plain GET of 15 KiB, as much as a page of 50 rows, from a Redis on this machine"},
	{"BenchmarkCache/page/redis", "list/look-redis", "look for 15 KiB in a Redis: name, GET, opened and checked"},
	{"BenchmarkList/all", "list/memory", "page of 50 of 10,000 applications with facets, of this process"},
	{"BenchmarkList/few", "list/memory-filtered", "the same with a filter that few match"},
	{"BenchmarkCache/tree/floor", "tree/floor", "floor: plain GET of 180 KiB, as much as a tree of 500 objects, from a Redis on this machine"},
	{"BenchmarkCacheTree/version", "tree/version", "which tree is the newest, from Postgres: is asked before each look"},
	{"BenchmarkCacheTree/postgres", "tree/miss", "tree of 500 objects as an answer, from Postgres"},
	{"BenchmarkCache/tree/redis", "tree/look-redis", "look for 180 KiB in a Redis: name, GET, opened and checked"},
	{"BenchmarkCache/tree/memory", "tree/look-memory", "the same in this process"},
}

// cachePackages have them.
var cachePackages = []string{"./hub/cache", "./hub/app", "./hub/render", "./hub/inventory", "./hub/store"}

// sharedCache measures what is in a cache, and what is not for being quicker
// without, each beside its floor in the same run.
func (b *bench) sharedCache(ctx context.Context) error {
	found := map[string][]float64{}
	for _, pkg := range cachePackages {
		if err := b.goBenchmarks(ctx, pkg, "^Benchmark(Cache|CacheSession|CacheRender|CacheTree|List)$", found); err != nil {
			return err
		}
	}
	for _, d := range cacheBenchmarks {
		if len(found[d.name]) == 0 {
			return errors.New(d.name + " was not measured; it needs a redis-server")
		}
		for _, ns := range found[d.name] {
			b.add("cache/"+d.metric, d.what, "µs", round(ns/1000))
		}
	}
	return nil
}
