package cache

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hawser-dev/hawser/e2e/testbed"
)

// intruder is somebody who may do everything in the Redis.
func intruder(t *testing.T, server *testbed.Redis) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: server.Addr(), DisableIdentity: true})
	t.Cleanup(func() { c.Close() })
	return c
}

// names of all values in the Redis.
func names(t *testing.T, c *redis.Client) []string {
	t.Helper()
	keys, err := c.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestA38_NoValueThatSomebodyElseWroteIsTaken: with every right in a real Redis,
// nothing but a hub's own newest or older value of the same name comes back.
func TestA38_NoValueThatSomebodyElseWroteIsTaken(t *testing.T) {
	const mine, others = "manifests of shop", "manifests of bank"
	evil := []byte(strings.Repeat("kind: ClusterRoleBinding\n", 20))
	set := func(t *testing.T, c *redis.Client, name string, v []byte) {
		t.Helper()
		if err := c.Set(t.Context(), name, v, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	get := func(t *testing.T, c *redis.Client, name string) []byte {
		t.Helper()
		b, err := c.Get(t.Context(), name).Bytes()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, attack := range map[string]func(t *testing.T, r *Redis, c *redis.Client, name, other string){
		"poisoned with a text of its own": func(t *testing.T, _ *Redis, c *redis.Client, name, _ string) { set(t, c, name, evil) },
		"poisoned with one byte":          func(t *testing.T, _ *Redis, c *redis.Client, name, _ string) { set(t, c, name, []byte{sealFormat}) },
		"replaced by the value of another key": func(t *testing.T, _ *Redis, c *redis.Client, name, other string) {
			set(t, c, name, get(t, c, other))
		},
		"the value of another key, with this one's name in it": func(t *testing.T, _ *Redis, c *redis.Client, name, other string) {
			v := get(t, c, other)
			copy(v[9:headerSize], get(t, c, name)[9:headerSize])
			set(t, c, name, v)
		},
		"cut": func(t *testing.T, _ *Redis, c *redis.Client, name, _ string) {
			v := get(t, c, name)
			set(t, c, name, v[:len(v)-1])
		},
		"cut to its header": func(t *testing.T, _ *Redis, c *redis.Client, name, _ string) {
			set(t, c, name, get(t, c, name)[:headerSize])
		},
		"longer": func(t *testing.T, _ *Redis, c *redis.Client, name, _ string) {
			c.Append(t.Context(), name, "x")
		},
		"longer than memory should hold": func(t *testing.T, _ *Redis, c *redis.Client, name, _ string) {
			if err := c.SetRange(t.Context(), name, 64<<20, "x").Err(); err != nil {
				t.Fatal(err)
			}
		},
		"another format": func(t *testing.T, _ *Redis, c *redis.Client, name, _ string) {
			c.SetRange(t.Context(), name, 0, "\x02")
		},
		"made to last": func(t *testing.T, _ *Redis, c *redis.Client, name, _ string) {
			c.SetRange(t.Context(), name, 1, "\x7f")
		},
		"another nonce": func(t *testing.T, _ *Redis, c *redis.Client, name, _ string) {
			c.SetRange(t.Context(), name, headerSize, "12345678")
		},
		"another last byte": func(t *testing.T, _ *Redis, c *redis.Client, name, _ string) {
			v := get(t, c, name)
			v[len(v)-1] ^= 1
			set(t, c, name, v)
		},
		"made a list": func(t *testing.T, _ *Redis, c *redis.Client, name, _ string) {
			c.Del(t.Context(), name)
			if err := c.LPush(t.Context(), name, evil).Err(); err != nil {
				t.Fatal(err)
			}
		},
		"sealed for another tenant with the same secret": func(t *testing.T, r *Redis, c *redis.Client, name, _ string) {
			other, err := newSealer(secret, "hub-2")
			if err != nil {
				t.Fatal(err)
			}
			set(t, c, name, other.seal(r.seal.name(things, mine), things.Schema, time.Now().Add(time.Hour), evil))
		},
		"sealed by the same tenant with another secret": func(t *testing.T, r *Redis, c *redis.Client, name, _ string) {
			other, err := newSealer(bytes.Repeat([]byte{8}, 32), "hub-1")
			if err != nil {
				t.Fatal(err)
			}
			set(t, c, name, other.seal(r.seal.name(things, mine), things.Schema, time.Now().Add(time.Hour), evil))
		},
		"sealed in another schema": func(t *testing.T, r *Redis, c *redis.Client, name, _ string) {
			set(t, c, name, r.seal.seal(r.seal.name(things, mine), "0", time.Now().Add(time.Hour), evil))
		},
		"replayed after its time": func(t *testing.T, r *Redis, c *redis.Client, name, _ string) {
			set(t, c, name, r.seal.seal(r.seal.name(things, mine), things.Schema, time.Now().Add(-time.Hour), evil))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := testbed.NeedRedis(t, testbed.RedisOptions{})
			seen, lines := &counts{}, &logged{}
			r := open(t, RedisOptions{Address: at(server), Observer: seen, Log: lines.logger()})
			c := intruder(t, server)
			r.Put(t.Context(), things, mine, []byte(strings.Repeat("kind: Deployment\n", 20)))
			first := names(t, c)
			r.Put(t.Context(), things, others, []byte(strings.Repeat("kind: StatefulSet\n", 20)))
			if len(first) != 1 {
				t.Fatalf("%q", first)
			}
			target, other := first[0], ""
			for _, n := range names(t, c) {
				if n != target {
					other = n
				}
			}
			attack(t, r, c, target, other)
			if v, ok := r.Get(t.Context(), things, mine); ok {
				t.Fatalf("taken: %.60q", v)
			}
			if seen.of("redis/things/tampered") != 1 {
				t.Errorf("counted: %v", seen.asked)
			}
			if text := lines.String(); !strings.Contains(text, "code=cache_tampered") || !strings.Contains(text, "key_hash=") || strings.Contains(text, "shop") {
				t.Errorf("logged: %s", text)
			}
			// It is gone, so the next look is a miss; and a good value is good again.
			if r.Get(t.Context(), things, mine); seen.of("redis/things/miss") != 1 {
				t.Errorf("counted: %v", seen.asked)
			}
			r.Put(t.Context(), things, mine, []byte("made again"))
			want(t, r, things, mine, "made again")
		})
	}
}

// TestA38_NoValueIsTakenUnderAnotherName: of every kind, for two keys each and for two
// tenants, each name gets the value of each other one. All are misses; put back, each is
// what it was.
func TestA38_NoValueIsTakenUnderAnotherName(t *testing.T) {
	server := testbed.NeedRedis(t, testbed.RedisOptions{})
	c := intruder(t, server)
	type place struct {
		r          *Redis
		s          Space
		key, value string
		name       string
		sealed     []byte
	}
	var all []place
	for _, tenant := range []string{"hub-1", "hub-2"} {
		r := open(t, RedisOptions{Address: at(server), Tenant: tenant})
		for _, k := range kinds {
			for _, key := range []string{"of ann", "of bob"} {
				p := place{r: r, s: k.Space, key: key, value: tenant + " " + k.Name + " " + key, name: outside(r.seal.name(k.Space, key))}
				r.Put(t.Context(), p.s, key, []byte(p.value))
				p.sealed = []byte(c.Get(t.Context(), p.name).Val())
				all = append(all, p)
			}
		}
	}
	for i, p := range all {
		for j, from := range all {
			c.Set(t.Context(), p.name, from.sealed, 0)
			v, ok := p.r.Get(t.Context(), p.s, p.key)
			if i == j && string(v) != p.value || i != j && ok {
				t.Errorf("%s under the name of %s: %q %v", from.value, p.value, v, ok)
			}
		}
	}
}

// TestA38_EveryByteCounts: a change of any byte of what lies in the Redis is noticed.
func TestA38_EveryByteCounts(t *testing.T) {
	server := testbed.NeedRedis(t, testbed.RedisOptions{})
	r := open(t, RedisOptions{Address: at(server)})
	c := intruder(t, server)
	r.Put(t.Context(), things, "a", []byte("value"))
	name := names(t, c)[0]
	good, err := c.Get(t.Context(), name).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x80
		c.Set(t.Context(), name, bad, 0)
		if v, ok := r.Get(t.Context(), things, "a"); ok {
			t.Errorf("byte %d: %q", i, v)
		}
	}
	c.Set(t.Context(), name, good, 0)
	want(t, r, things, "a", "value")
}

// TestA38_TheLogCannotBeFilled: a flood of bad values is counted whole and logged
// in part.
func TestA38_TheLogCannotBeFilled(t *testing.T) {
	server := testbed.NeedRedis(t, testbed.RedisOptions{})
	seen, lines, now := &counts{}, &logged{}, newClock()
	r := open(t, RedisOptions{Address: at(server), Observer: seen, Log: lines.logger(), Now: now.now})
	c := intruder(t, server)
	for i := range 200 {
		c.Set(t.Context(), outside(r.seal.name(things, fmt.Sprint(i))), "poison", 0)
		r.Get(t.Context(), things, fmt.Sprint(i))
	}
	if n := seen.of("redis/things/tampered"); n != 200 {
		t.Errorf("%d counted", n)
	}
	if n := strings.Count(lines.String(), "cache_tampered"); n != 10 {
		t.Errorf("%d lines", n)
	}
	now.forward(time.Minute)
	c.Set(t.Context(), outside(r.seal.name(things, "x")), "poison", 0)
	if r.Get(t.Context(), things, "x"); !strings.Contains(lines.String(), "not_logged=190") {
		t.Errorf("the rest is not told: %s", lines)
	}
}

// TestA47_NothingCanBeReadInARedis: neither in names nor in values, and equal keys
// of two tenants have different names.
func TestA47_NothingCanBeReadInARedis(t *testing.T) {
	server := testbed.NeedRedis(t, testbed.RedisOptions{})
	c := intruder(t, server)
	const key, value = "https://git.example.com/secret-project.git", "password: canary-71f3"
	for i, o := range []RedisOptions{{}, {Tenant: "hub-2"}, {Secret: bytes.Repeat([]byte{9}, 32)}} {
		o.Address = at(server)
		r := open(t, o)
		wantNone(t, r, things, key) // nobody finds another's
		r.Put(t.Context(), things, key, []byte(value))
		r.Put(t.Context(), Space{Name: "sessions", Schema: "2", TTL: time.Hour}, key, []byte(value))
		if got := len(names(t, c)); got != 2*(i+1) {
			t.Errorf("%d names", got)
		}
	}
	everything := ""
	for _, n := range names(t, c) {
		if !regexp.MustCompile(`^hawser:[A-Za-z0-9_-]{43}$`).MatchString(n) {
			t.Errorf("name %q", n)
		}
		v, err := c.Get(t.Context(), n).Bytes()
		if err != nil {
			t.Fatal(err)
		}
		everything += n + string(v)
		if ttl := c.TTL(t.Context(), n).Val(); ttl <= 0 || ttl > time.Hour {
			t.Errorf("it stays for %v", ttl)
		}
	}
	for _, word := range []string{"git.example", "secret-project", "canary", "password", "things", "sessions", "hub-"} {
		for _, form := range []string{word, base64.StdEncoding.EncodeToString([]byte(word))[:len(word)] /* whole groups only */, fmt.Sprintf("%x", word)} {
			if strings.Contains(everything, form) {
				t.Errorf("%q can be read", form)
			}
		}
	}
	// The same value twice does not look the same.
	r := open(t, RedisOptions{Address: at(server)})
	name := outside(r.seal.name(things, key))
	before := c.Get(t.Context(), name).Val()
	r.Put(t.Context(), things, key, []byte(value))
	if c.Get(t.Context(), name).Val() == before {
		t.Error("equal values can be told")
	}
}

// liar is a server that speaks Redis and answers what it wants.
func liar(t *testing.T, answer func(w io.Writer, command []string)) Address {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				for {
					n, ok := number(in, '*')
					if !ok {
						return
					}
					command := make([]string, n)
					for i := range command {
						size, ok := number(in, '$')
						if !ok {
							return
						}
						b := make([]byte, size+2)
						if _, err := io.ReadFull(in, b); err != nil {
							return
						}
						command[i] = string(b[:size])
					}
					answer(conn, command)
				}
			}()
		}
	}()
	return Address{Host: ln.Addr().String()}
}

// number reads a line that begins with a letter.
func number(in *bufio.Reader, letter byte) (int, bool) {
	line, err := in.ReadString('\n')
	if err != nil || line[0] != letter {
		return 0, false
	}
	n, err := strconv.Atoi(strings.TrimSpace(line[1:]))
	return n, err == nil
}

// TestL06_AnswersOutOfOrderAreMisses: a connection whose answers are one behind
// gives every caller the good, sealed value of another key. None takes it.
func TestL06_AnswersOutOfOrderAreMisses(t *testing.T) {
	seal, err := newSealer(secret, "hub-1")
	if err != nil {
		t.Fatal(err)
	}
	const keys = 20
	values := map[string][]byte{}
	for i := range keys {
		name := seal.name(things, fmt.Sprint(i))
		values[outside(name)] = seal.seal(name, things.Schema, time.Now().Add(time.Hour), fmt.Appendf(nil, "session of user %d", i))
	}
	late := make(chan []byte, 1)
	late <- nil
	inOrder := false
	address := liar(t, func(w io.Writer, command []string) {
		if strings.EqualFold(command[0], "getrange") {
			v := values[command[1]]
			if !inOrder { // the answer to the question before
				before := <-late
				late <- v
				v = before
			}
			fmt.Fprintf(w, "$%d\r\n%s\r\n", len(v), v)
			return
		}
		fmt.Fprint(w, "-ERR unknown command\r\n") // as old servers greet
	})
	seen := &counts{}
	r := open(t, RedisOptions{Address: address, Observer: seen})
	for i := range keys {
		if v, ok := r.Get(t.Context(), things, fmt.Sprint(i)); ok {
			t.Errorf("user %d is %q", i, v)
		}
	}
	if n := seen.of("redis/things/tampered"); n != keys-1 {
		t.Errorf("%d are counted", n)
	}
	inOrder = true // the test can tell: the same values in order are good
	want(t, r, things, "3", "session of user 3")
}

// TestL06_AnAnswerThatComesTooLateIsNobodys: the connection of a look that was given
// up is not used for the next one, whose answer would be the late one.
func TestL06_AnAnswerThatComesTooLateIsNobodys(t *testing.T) {
	seal, err := newSealer(secret, "hub-1")
	if err != nil {
		t.Fatal(err)
	}
	sealed := func(key string) []byte {
		name := seal.name(things, key)
		return seal.seal(name, things.Schema, time.Now().Add(time.Hour), []byte("value of "+key))
	}
	slow, release := outside(seal.name(things, "slow")), make(chan struct{})
	a, b := sealed("slow"), sealed("quick")
	address := liar(t, func(w io.Writer, command []string) {
		switch {
		case !strings.EqualFold(command[0], "getrange"):
			fmt.Fprint(w, "-ERR unknown command\r\n")
		case command[1] == slow:
			<-release
			fmt.Fprintf(w, "$%d\r\n%s\r\n", len(a), a)
		default:
			fmt.Fprintf(w, "$%d\r\n%s\r\n", len(b), b)
		}
	})
	seen := &counts{}
	r := open(t, RedisOptions{Address: address, Observer: seen})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, ok := r.Get(ctx, things, "slow"); ok {
		t.Error("it was not slow")
	}
	close(release)
	want(t, r, things, "quick", "value of quick")
	if seen.of("redis/things/tampered") != 0 {
		t.Error("the late answer was read")
	}
}

// TestA38_AServerThatLies: answers that are no answers cost a miss, not memory and
// not the process.
func TestA38_AServerThatLies(t *testing.T) {
	for name, answer := range map[string]string{
		"a length that no memory has":  "$9223372036854775800\r\n",
		"a large length and no bytes":  "$2000000000\r\nx",
		"a negative length":            "$-7\r\n",
		"no length":                    "$\r\n",
		"an array of arrays":           "*1000000000\r\n*1000000000\r\n",
		"arrays in arrays":             strings.Repeat("*64\r\n", 100_000),
		"a longer value than any":      "$8388700\r\n",
		"an error":                     "-ERR no\r\n",
		"moved":                        "-MOVED 1 127.0.0.1:1\r\n",
		"a line without end":           strings.Repeat("x", 1<<20),
		"nothing":                      "",
		"a push of the newer protocol": ">2\r\n+invalidate\r\n*1\r\n+a\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := liar(t, func(w io.Writer, _ []string) { fmt.Fprint(w, answer) })
			r := open(t, RedisOptions{Address: address, Timeout: 100 * time.Millisecond})
			for range 2 * breakAfter {
				wantNone(t, r, things, "a")
				r.Put(t.Context(), things, "a", []byte("one"))
				r.Drop(t.Context(), things, "a")
			}
			if r.Ping(t.Context()) == nil {
				t.Error("it seems well")
			}
		})
	}
}
