package cache

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hawser-dev/hawser/e2e/testbed"
)

// aclOf is the list of commands in docs/cache.md, as ACL SETUSER takes them.
func aclOf(t *testing.T) (rules []any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "cache.md"))
	if err != nil {
		t.Fatal(err)
	}
	const before = "ACL SETUSER hawser on "
	_, after, found := strings.Cut(string(text), before)
	line, _, ended := strings.Cut(after, "\n")
	if !found || !ended {
		t.Fatal("docs/cache.md does not say what a user needs")
	}
	for _, word := range strings.Fields(line) {
		if strings.HasPrefix(word, ">") {
			word = ">" + aclPassword
		}
		rules = append(rules, word)
	}
	return rules
}

const aclPassword = "of-the-hub"

// TestAUserWithTheDocumentedCommandsIsEnough: with the rules of docs/cache.md
// everything works on a real redis-server, and without any one of them something
// does not; nothing else is ever asked for.
func TestAUserWithTheDocumentedCommandsIsEnough(t *testing.T) {
	server := testbed.NeedRedis(t, testbed.RedisOptions{Password: "of-the-operator"})
	operator := redis.NewClient(&redis.Options{Addr: server.Addr(), Password: "of-the-operator", DisableIdentity: true})
	defer operator.Close()
	do := func(args ...any) string {
		t.Helper()
		out, err := operator.Do(t.Context(), args...).Result()
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		text, _ := out.(string)
		return text
	}
	for line := range strings.Lines(do("INFO", "server")) {
		if strings.HasPrefix(line, "redis_version:") {
			t.Log(strings.TrimSpace(line))
		}
	}
	rules := aclOf(t)
	space := Space{Name: "s", Schema: "1", TTL: time.Minute}
	works := func(db int) bool {
		t.Helper()
		address, err := ParseAddress("redis://hawser:"+aclPassword+"@"+server.Addr(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		address.DB = db
		r, err := NewRedis(RedisOptions{Address: address, Secret: make([]byte, 32), Tenant: "hub", Timeout: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if r.Ping(t.Context()) != nil {
			return false
		}
		r.Put(t.Context(), space, "k", []byte("v"))
		if v, ok := r.Get(t.Context(), space, "k"); !ok || string(v) != "v" {
			return false
		}
		r.Drop(t.Context(), space, "k")
		_, ok := r.Get(t.Context(), space, "k")
		return !ok
	}
	set := func(rules []any) {
		t.Helper()
		do("ACL", "DELUSER", "hawser")
		do(append([]any{"ACL", "SETUSER", "hawser", "on"}, rules...)...)
		do("ACL", "LOG", "RESET")
		do("FLUSHALL")
	}
	set(rules)
	for _, db := range []int{0, 3} {
		if !works(db) {
			t.Errorf("database %d: it does not work with %v", db, rules)
		}
	}
	if refused, err := operator.Do(t.Context(), "ACL", "LOG").Slice(); err != nil || len(refused) > 0 {
		t.Errorf("refused: %v %v", refused, err)
	}
	commands := 0
	for i, rule := range rules {
		if !strings.HasPrefix(rule.(string), "+") {
			continue
		}
		commands++
		set(append(append([]any{}, rules[:i]...), rules[i+1:]...))
		if works(3) {
			t.Errorf("%s is not needed", rule)
		}
	}
	if commands == 0 {
		t.Error("no commands")
	}
	set(append(rules, "resetkeys", "~other:*"))
	if works(0) {
		t.Error("another prefix is as good")
	}
}
