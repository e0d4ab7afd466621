package store

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// injections are words that are statements, conditions or ends of such, where a
// statement is put together from words.
var injections = []string{
	`' OR '1'='1`,
	`witness' --`,
	`'; DROP TABLE apps; --`,
	`'); DELETE FROM users; SELECT ('`,
	`x' UNION SELECT * FROM secrets --`,
	`$1`, `$$; DROP SCHEMA public CASCADE; $$`, `\'; TRUNCATE clusters; --`,
	`" OR ""="`, `witness"; --`, `%`, `_itness`, `.*`, `witness%' ESCAPE '\`,
	`{witness,x}`, `{"a":1}' || (SELECT 1/0) || '`, `$.** ? (@ like_regex ".*")`,
	"witness\u02bc OR 1=1", "\u2019 OR 1=1 --", `0x77`, `NULL`, `1; SELECT pg_sleep(30)`,
}

// S14: whatever words reach the store, in whatever place of whatever method, they
// are values: no statement is broken by them, no row answers to them that does not
// answer to a name of nobody, and nothing but what the method writes has changed.
func TestS14_WordsAreNeverStatements(t *testing.T) {
	b := setup(t)
	app := b.app("witness", b.cluster("witness"))
	b.person("u-witness", "witness")
	tables := func() int {
		// Months of the audit come as partitions.
		return b.count(`SELECT count(*) FROM information_schema.columns c JOIN pg_class k ON k.oid = format('%I.%I', c.table_schema, c.table_name)::regclass
			WHERE c.table_schema = 'public' AND NOT k.relispartition`)
	}
	columns := tables()

	store := reflect.ValueOf(b.Store)
	called := 0
	for i := range store.NumMethod() {
		method := store.Type().Method(i)
		if !takesWords(method.Type, 2) {
			continue
		}
		// What answers to nobody's name: a list of everything names the witness
		// whatever is asked.
		nobody, err := callWith(t, store.Method(i), "nobody-has-this-name")
		broken(t, method.Name, "nobody-has-this-name", err)
		for _, word := range injections {
			answer, err := callWith(t, store.Method(i), word)
			called++
			broken(t, method.Name, word, err)
			if strings.Contains(answer, app.Name+`"`) && !strings.Contains(nobody, app.Name+`"`) {
				t.Errorf("%s(%q) answers with the witness:\n%s", method.Name, word, answer)
			}
		}
	}
	if called < 60*len(injections) {
		t.Errorf("%d calls: the methods that take words are not found", called)
	}
	if got := tables(); got != columns {
		t.Errorf("%d columns of tables, before %d", got, columns)
	}
	for what, sql := range map[string]string{
		"application": `SELECT count(*) FROM apps WHERE name = 'witness'`,
		"cluster":     `SELECT count(*) FROM clusters WHERE name = 'witness'`,
		"user":        `SELECT count(*) FROM users WHERE name = 'witness'`,
	} {
		if n := b.count(sql); n != 1 {
			t.Errorf("%d %ss are called witness, want 1", n, what)
		}
	}
}

// broken fails the test when an error is about the statement, not about what it
// was given: class 42 of PostgreSQL's codes, and a division that only an injected
// expression makes.
func broken(t *testing.T, method, word string, err error) {
	t.Helper()
	var e *pgconn.PgError
	if errors.As(err, &e) && (strings.HasPrefix(e.Code, "42") || e.Code == "22012") {
		t.Errorf("%s(%q): %v", method, word, err)
	}
}

// takesWords reports whether a method has a parameter from the given one on that
// has a place for a word.
func takesWords(method reflect.Type, from int) bool {
	for i := from; i < method.NumIn(); i++ {
		if hasWords(method.In(i), 0) {
			return true
		}
	}
	return false
}

func hasWords(t reflect.Type, depth int) bool {
	if depth > 6 {
		return false
	}
	switch t.Kind() {
	case reflect.String:
		return true
	case reflect.Slice, reflect.Pointer, reflect.Map:
		return hasWords(t.Elem(), depth+1)
	case reflect.Struct:
		for i := range t.NumField() {
			if t.Field(i).IsExported() && hasWords(t.Field(i).Type, depth+1) {
				return true
			}
		}
	}
	return false
}

// callWith calls a method with a word in every place, and gives its answers as
// JSON.
func callWith(t *testing.T, method reflect.Value, word string) (answer string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	args := []reflect.Value{reflect.ValueOf(ctx)}
	for i := 1; i < method.Type().NumIn(); i++ {
		args = append(args, filled(method.Type().In(i), word, 0))
	}
	var out []any
	for _, v := range method.Call(args) {
		if e, ok := v.Interface().(error); ok {
			err = e
		} else {
			out = append(out, v.Interface())
		}
	}
	if ctx.Err() != nil {
		t.Errorf("%v with %q takes 20 s", method.Type(), word)
	}
	if err != nil {
		return "", err
	}
	raw, failed := json.Marshal(out)
	if failed != nil {
		return fmt.Sprintf("%+v", out), nil
	}
	return string(raw), nil
}

// filled is a value with the word in every place that takes one.
func filled(t reflect.Type, word string, depth int) reflect.Value {
	v := reflect.New(t).Elem()
	if depth > 8 {
		return v
	}
	if t == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Now()))
		return v
	}
	if t == reflect.TypeFor[ed25519.PrivateKey]() {
		v.SetBytes(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
		return v
	}
	if t == reflect.TypeFor[json.RawMessage]() {
		v.SetBytes([]byte(`{}`))
		return v
	}
	switch t.Kind() {
	case reflect.String:
		v.SetString(word)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte(word))
			break
		}
		v.Set(reflect.Append(v, filled(t.Elem(), word, depth+1)))
	case reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		v.Elem().Set(filled(t.Elem(), word, depth+1))
	case reflect.Map:
		v.Set(reflect.MakeMap(t))
		v.SetMapIndex(filled(t.Key(), word, depth+1), filled(t.Elem(), word, depth+1))
	case reflect.Struct:
		for i := range t.NumField() {
			if t.Field(i).IsExported() {
				v.Field(i).Set(filled(t.Field(i).Type, word, depth+1))
			}
		}
	case reflect.Func:
		v.Set(reflect.MakeFunc(t, func([]reflect.Value) []reflect.Value {
			var out []reflect.Value
			for i := range t.NumOut() {
				out = append(out, reflect.Zero(t.Out(i)))
			}
			return out
		}))
	}
	return v
}
