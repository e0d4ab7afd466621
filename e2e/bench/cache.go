package main

import (
	"context"
	"errors"
)

// cacheBenchmarks are those of the packages that have a cache.
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
	{"BenchmarkCachePages/all/made", "list/none", "page of 50 of 10,000 applications with facets, made"},
	{"BenchmarkCachePages/all/miss", "list/miss", "the same, looked for in a Redis, made, and put there"},
	{"BenchmarkCachePages/all/redis", "list/redis", "the same, of another hub from the Redis: state, look, times filled in"},
	{"BenchmarkCachePages/all/memory", "list/memory", "the same of this process"},
	{"BenchmarkCachePages/few/made", "list/none-filtered", "the same with a filter that few match, made"},
	{"BenchmarkCachePages/few/miss", "list/miss-filtered", "the same, looked for in a Redis, made, and put there"},
	{"BenchmarkCachePages/few/redis", "list/redis-filtered", "the same from the Redis"},
	{"BenchmarkCachePages/few/memory", "list/memory-filtered", "the same of this process"},
	{"BenchmarkCachePage/name", "list/name", "name of what one sees who sees half of 10,000 applications"},
	{"BenchmarkCachePage/change/false", "list/change-none", "a changed row made ready for lists, with nothing kept"},
	{"BenchmarkCachePage/change/true", "list/change", "the same with its digest"},
	{"BenchmarkCache/tree/floor", "tree/floor", "floor: plain GET of 180 KiB, as much as a tree of 500 objects, from a Redis on this machine"},
	{"BenchmarkCacheTree/version", "tree/version", "which tree is the newest, from Postgres: is asked before each look"},
	{"BenchmarkCacheTree/postgres", "tree/miss", "tree of 500 objects as an answer, from Postgres"},
	{"BenchmarkCache/tree/redis", "tree/look-redis", "look for 180 KiB in a Redis: name, GET, opened and checked"},
	{"BenchmarkCache/tree/memory", "tree/look-memory", "the same in this process"},
}

// cachePackages have them.
var cachePackages = []string{"./hub/cache", "./hub/app", "./hub/render", "./hub/inventory", "./hub/store"}

// sharedCache measures what is in a cache, each beside its floor in the same run.
func (b *bench) sharedCache(ctx context.Context) error {
	found := map[string][]float64{}
	for _, pkg := range cachePackages {
		if err := b.goBenchmarks(ctx, pkg, "^Benchmark(Cache|CacheSession|CacheRender|CacheTree|CachePage|CachePages)$", found); err != nil {
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
