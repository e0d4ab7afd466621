package diff

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/metrics"
	"strings"
	"sync"
	"time"

	"github.com/itchyny/gojq"
)

// Limits of one jq expression on one object.
const (
	jqLimit = time.Second
	// maxJQPaths bounds what an expression may select.
	maxJQPaths = 10_000
	// maxJQText bounds the expression.
	maxJQText = 4096
	// maxJQHeap is by how many bytes the program may grow while an expression
	// with a loop runs.
	maxJQHeap = 48 << 20
	// maxJQGrowth is how many operators that can double what they get an
	// expression may have; none inside of loops and functions.
	maxJQGrowth = 6
	// jqStrikes evaluations that hit a limit, one after the other, suspend an
	// expression for jqSuspended: it costs at most that many seconds.
	jqStrikes   = 3
	jqSuspended = 10 * time.Minute
	// maxJQCached expressions are kept compiled.
	maxJQCached = 512
)

// jqError is one whose text does not quote the object.
type jqError string

func (e jqError) Error() string { return string(e) }

func isSafeJQError(err error) bool {
	var safe jqError
	return errors.As(err, &safe)
}

// jqExpression is a compiled path expression. It may be used by several
// goroutines.
type jqExpression struct {
	code *gojq.Code
	// watched: it may collect without bound.
	watched bool
	err     error

	mu      sync.Mutex
	strikes int
	until   time.Time
	why     error
}

var jqCache struct {
	sync.Mutex
	compiled map[string]*jqExpression
}

// jqCompile compiles an expression once.
func jqCompile(expr string) (*jqExpression, error) {
	jqCache.Lock()
	defer jqCache.Unlock()
	if q := jqCache.compiled[expr]; q != nil {
		return q, q.err
	}
	if jqCache.compiled == nil || len(jqCache.compiled) >= maxJQCached {
		jqCache.compiled = make(map[string]*jqExpression)
	}
	q := newJQExpression(expr)
	jqCache.compiled[strings.Clone(expr)] = q
	return q, q.err
}

func newJQExpression(expr string) *jqExpression {
	if len(expr) > maxJQText {
		return &jqExpression{err: jqError(fmt.Sprintf("it is %d bytes long; the limit is %d", len(expr), maxJQText))}
	}
	parsed, err := gojq.Parse("path(" + expr + ")")
	if err != nil {
		return &jqExpression{err: jqError(err.Error())}
	}
	var in jqInspection
	in.value(reflect.ValueOf(parsed), false)
	if in.refused != "" {
		return &jqExpression{err: jqError(in.refused)}
	}
	if in.growth > maxJQGrowth {
		return &jqExpression{err: jqError(fmt.Sprintf("it puts values together %d times; the limit is %d", in.growth, maxJQGrowth))}
	}
	// Without an environment loader there is no $ENV; without a module loader
	// nothing is imported.
	code, err := gojq.Compile(parsed, gojq.WithEnvironLoader(func() []string { return nil }))
	if err != nil {
		return &jqExpression{err: jqError(err.Error())}
	}
	return &jqExpression{code: code, watched: in.loops || in.growth > 0}
}

// jqInspection looks through the syntax tree of an expression.
type jqInspection struct {
	growth  int
	loops   bool
	refused string
	defined []string        // names of the functions whose bodies are being looked at
	own     map[string]bool // functions and arguments that the expression defines
}

var (
	// jqLoops are functions that can go on without end, by number of arguments.
	jqLoops = map[string]bool{"repeat/1": true, "while/2": true, "until/2": true, "range/1": true, "range/2": true, "range/3": true,
		"recurse/1": true, "recurse/2": true, "limit/2": true, "skip/2": true, "combinations/0": true, "combinations/1": true, "walk/1": true}
	// jqModest are functions whose result is never longer than what they get. Any
	// other one counts as one that puts values together.
	jqModest = map[string]bool{"select": true, "has": true, "in": true, "contains": true, "inside": true, "IN": true, "test": true,
		"startswith": true, "endswith": true, "index": true, "rindex": true, "indices": true, "any": true, "all": true, "not": true,
		"first": true, "last": true, "nth": true, "limit": true, "skip": true, "isempty": true, "empty": true, "error": true, "length": true, "utf8bytelength": true,
		"type": true, "keys": true, "keys_unsorted": true, "values": true, "nulls": true, "booleans": true, "numbers": true, "strings": true,
		"arrays": true, "objects": true, "iterables": true, "scalars": true, "recurse": true, "path": true, "paths": true, "getpath": true,
		"ascii_downcase": true, "ascii_upcase": true, "ltrimstr": true, "rtrimstr": true, "trimstr": true, "trim": true, "ltrim": true, "rtrim": true, "split": true,
		"tonumber": true, "floor": true, "ceil": true, "round": true, "fabs": true, "abs": true, "min": true, "max": true, "sort": true, "unique": true, "reverse": true,
		"range": true, "repeat": true, "while": true, "until": true, "infinite": true, "nan": true, "isnan": true, "isinfinite": true, "isnormal": true,
		"true": true, "false": true, "null": true, "del": true, "delpaths": true, "match": true, "capture": true, "scan": true, "ascii": true}
	jqRefused = map[string]bool{"input": true, "inputs": true, "debug": true, "stderr": true, "halt": true, "halt_error": true,
		"input_line_number": true, "input_filename": true, "env": true, "builtins": true, "now": true, "localtime": true, "get_search_list": true}
)

func (in *jqInspection) refuse(format string, args ...any) {
	if in.refused == "" {
		in.refused = fmt.Sprintf(format, args...)
	}
}

func (in *jqInspection) grow(what string, loop bool) {
	in.growth++
	if loop {
		in.refuse("it uses %s inside of a loop or function, which may not put values together", what)
	}
}

// value walks the exported syntax tree. loop says that what is met may be
// evaluated again and again on its own results.
func (in *jqInspection) value(v reflect.Value, loop bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		in.node(v, loop)
	case reflect.Slice:
		for i := range v.Len() {
			in.value(v.Index(i), loop)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				in.value(v.Field(i), loop)
			}
		}
	}
}

func (in *jqInspection) node(v reflect.Value, loop bool) {
	switch n := v.Interface().(type) {
	case *gojq.Query:
		if n.Meta != nil || len(n.Imports) > 0 {
			in.refuse("it has a module directive")
		}
		switch n.Op {
		case gojq.OpMul:
			in.refuse("it uses *, which can make texts of any length")
		case gojq.OpAdd, gojq.OpAssign, gojq.OpModify, gojq.OpUpdateAdd, gojq.OpUpdateSub, gojq.OpUpdateMul, gojq.OpUpdateDiv, gojq.OpUpdateMod, gojq.OpUpdateAlt:
			in.grow(n.Op.String(), loop)
		}
	case *gojq.FuncDef:
		if in.own == nil {
			in.own = map[string]bool{}
		}
		in.own[n.Name] = true
		for _, arg := range n.Args {
			in.own[arg] = true
		}
		in.defined = append(in.defined, n.Name)
		in.value(v.Elem(), true)
		in.defined = in.defined[:len(in.defined)-1]
		return
	case *gojq.Reduce, *gojq.Foreach:
		in.loops, loop = true, true
	case *gojq.Term:
		if n.Format != "" {
			in.grow(n.Format, loop)
		}
	case *gojq.Array:
		in.grow("[…]", loop)
	case *gojq.Object:
		in.grow("{…}", loop)
	case *gojq.String:
		if len(n.Queries) > 0 {
			in.grow(`"\(…)"`, loop)
		}
	case *gojq.Func:
		for _, name := range in.defined {
			if name == n.Name {
				in.refuse("its function %s calls itself", name)
			}
		}
		switch {
		case jqRefused[n.Name], n.Name == "$ENV", n.Name == "$__prog_args":
			in.refuse("%s is not available", n.Name)
		case jqLoops[fmt.Sprintf("%s/%d", n.Name, len(n.Args))]:
			in.loops, loop = true, true
		case !jqModest[n.Name] && !strings.HasPrefix(n.Name, "$") && !in.own[n.Name]:
			in.grow(n.Name, loop)
		}
	}
	in.value(v.Elem(), loop)
}

// selectIn adds what the expression selects in v, a value made by jqValue, to s.
// An expression that cannot be applied to the object, as .a[] where there is no
// a, selects nothing, as in Argo CD.
func (q *jqExpression) selectIn(v any, s *selection) error {
	if err := q.suspended(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), jqLimit, jqError("it took longer than "+jqLimit.String()))
	defer cancel()
	if q.watched {
		var stop func()
		ctx, stop = watchHeap(ctx)
		defer stop()
	}
	paths, err := q.paths(ctx, v)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	q.struck(err)
	if err != nil {
		var explicit gojq.ValueError
		if isSafeJQError(err) || errors.As(err, &explicit) || strings.HasPrefix(err.Error(), "invalid path") {
			return err
		}
		return nil
	}
	for _, p := range paths {
		if !s.addJQ(p) {
			return jqError("it selects something that is no field")
		}
	}
	return nil
}

func (q *jqExpression) paths(ctx context.Context, v any) ([][]any, error) {
	var paths [][]any
	steps := 0
	for it := q.code.RunWithContext(ctx, v); ; {
		out, ok := it.Next()
		if !ok {
			return paths, nil
		}
		switch out := out.(type) {
		case error:
			return nil, out
		case []any:
			if steps += len(out); len(paths) >= maxJQPaths || steps > 20*maxJQPaths {
				return nil, jqError(fmt.Sprintf("it selects more than %d fields", maxJQPaths))
			}
			paths = append(paths, out)
		}
	}
}

func (q *jqExpression) suspended() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.strikes >= jqStrikes && time.Now().Before(q.until) {
		return q.why
	}
	return nil
}

// struck counts evaluations that hit a limit of time or memory.
func (q *jqExpression) struck(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err == nil || !isSafeJQError(err) {
		q.strikes = 0
		return
	}
	q.strikes++
	q.until, q.why = time.Now().Add(jqSuspended), err
}

// watchHeap cancels the context when the program grows by more than maxJQHeap.
// Its goroutine ends with stop.
func watchHeap(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	limit := sample[0].Value.Uint64()
	limit += max(maxJQHeap, limit/2) // a large program has much garbage of its own
	ended := make(chan struct{})
	var gone sync.WaitGroup
	gone.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				return
			case <-tick.C:
				if metrics.Read(sample); sample[0].Value.Uint64() > limit {
					cancel(jqError(fmt.Sprintf("it needed more than %d MiB", maxJQHeap>>20)))
					return
				}
			}
		}
	})
	return ctx, func() {
		close(ended)
		gone.Wait()
		cancel(nil)
	}
}

// jqValue copies v with the integer type that gojq knows.
func jqValue(v any) any {
	switch t := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(t))
		for k, e := range t {
			m[k] = jqValue(e)
		}
		return m
	case []any:
		l := make([]any, len(t))
		for i, e := range t {
			l[i] = jqValue(e)
		}
		return l
	case int64:
		return int(t)
	}
	return v
}
