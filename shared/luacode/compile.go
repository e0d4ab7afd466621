package luacode

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	glua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
	"github.com/yuin/gopher-lua/parse"

	"github.com/hawser-dev/hawser/shared/fault"
)

const (
	// MaxSource bounds a script, in bytes. The longest of Argo CD's has 10 KB.
	MaxSource = 128 << 10
	// maxNesting bounds the depth of a script's syntax tree, because the
	// compiler is recursive and a stack overflow ends the process. Each elseif
	// is a level.
	maxNesting = 1000
)

// Compile parses and compiles a script. name is the place where it was found;
// it begins every message. The errors are lua_script_invalid and
// lua_script_too_large.
func Compile(name, source string) (p *glua.FunctionProto, err error) {
	if len(source) > MaxSource {
		return nil, fault.New(fault.Invalid, "lua_script_too_large", "%s: the script has %d bytes; %d are allowed", name, len(source), MaxSource)
	}
	invalid := func(what string) error {
		return fault.New(fault.Invalid, "lua_script_invalid", "%s: %s", name, what)
	}
	tooDeep := invalid(fmt.Sprintf("the script is nested more than %d levels deep", maxNesting))
	if brackets(source) > 2*maxNesting {
		return nil, tooDeep // the parser's stack would be large
	}
	defer func() {
		// The compiler panics on what it has no code for.
		if r := recover(); r != nil {
			p, err = nil, invalid(fmt.Sprint("the script cannot be compiled: ", r))
		}
	}()
	chunk, perr := parse.Parse(strings.NewReader(source), name)
	if perr != nil {
		return nil, invalid(parseMessage(perr))
	}
	in := instrument{usesArg: strings.Contains(source, "arg")}
	body := in.block(chunk)
	if in.tooDeep {
		return nil, tooDeep
	}
	proto, cerr := glua.Compile(enclose(body), name)
	if cerr != nil {
		return nil, invalid(compileMessage(name, cerr))
	}
	if line := adjust(proto, in.usesArg); line > 0 {
		return nil, invalid(fmt.Sprintf("line %d: a function uses more than %d variables of functions around it", line, maxUpvalues))
	}
	return proto, nil
}

// brackets is how deep the brackets of a text are nested, about: those in
// strings and comments count too.
func brackets(source string) (most int) {
	depth := 0
	for i := range len(source) {
		switch source[i] {
		case '(', '{', '[':
			depth++
			most = max(most, depth)
		case ')', '}', ']':
			depth = max(0, depth-1)
		}
	}
	return most
}

// maxUpvalues is what a byte counts: the compiler does not check.
const maxUpvalues = 255

// adjust makes compiled code fit: no table "arg", a relic of Lua 5.0, is made at
// each call of a function with "..." unless the script may use it; and a tail
// call is a call, because the interpreter's stack traces have a line for each
// tail call that ever was. It returns the line of a function that has too many
// upvalues.
func adjust(p *glua.FunctionProto, usesArg bool) (line int) {
	if len(p.DbgUpvalues) > maxUpvalues {
		return max(1, p.LineDefined)
	}
	if !usesArg {
		p.IsVarArg &^= glua.VarArgNeedsArg
	}
	for i, inst := range p.Code {
		// A return of all values follows.
		if int(inst>>opShift) == glua.OP_TAILCALL {
			p.Code[i] = inst&(1<<opShift-1) | uint32(glua.OP_CALL)<<opShift
		}
	}
	for _, sub := range p.FunctionPrototypes {
		if line := adjust(sub, usesArg); line > 0 {
			return line
		}
	}
	return 0
}

// opShift is where the operation is in an instruction.
const opShift = 26

func parseMessage(err error) string {
	var pe *parse.Error
	if !errors.As(err, &pe) {
		return err.Error()
	}
	what := strings.TrimSpace(pe.Message)
	if pe.Pos.Line == parse.EOF || pe.Token == "" && pe.Pos.Line <= 0 {
		return what + " at the end of the script"
	}
	if pe.Token != "" {
		what += " near " + strconv.Quote(pe.Token)
	}
	return fmt.Sprintf("line %d: %s", pe.Pos.Line, what)
}

func compileMessage(name string, err error) string {
	var ce *glua.CompileError
	if errors.As(err, &ce) {
		return fmt.Sprintf("line %d: %s", ce.Line, ce.Message)
	}
	return strings.TrimPrefix(err.Error(), name+":")
}

// Names of the counting functions inside a program. No script can spell them.
const (
	fnConcat  = "\x00concat"
	fnTable   = "\x00table"
	fnSet     = "\x00set"
	fnClosure = "\x00closure"
	fnCharge  = "\x00charge"
	fnVarargs = "\x00varargs"
)

// counters are the parameters of a program's outer function, in this order.
var counters = []string{fnConcat, fnTable, fnSet, fnClosure, fnCharge, fnVarargs}

// enclose makes a chunk that takes the counting functions and returns the
// script as a function, whose environment can be set for each run.
func enclose(body []ast.Stmt) []ast.Stmt {
	last := 1
	if n := len(body); n > 0 {
		last = max(body[n-1].Line(), body[n-1].LastLine())
	}
	at := func(n ast.PositionHolder) {
		n.SetLine(1)
		n.SetLastLine(last)
	}
	script := &ast.FunctionExpr{ParList: &ast.ParList{HasVargs: true}, Stmts: body}
	varargs := &ast.Comma3Expr{}
	locals := &ast.LocalAssignStmt{Names: slices.Clone(counters), Exprs: []ast.Expr{varargs}}
	ret := &ast.ReturnStmt{Exprs: []ast.Expr{script}}
	for _, n := range []ast.PositionHolder{script, varargs, locals, ret} {
		at(n)
	}
	return []ast.Stmt{locals, ret}
}

// instrument rewrites a syntax tree so that whatever allocates memory goes
// through a counting function:
//
//	a .. b .. c       concat(a, b, c)
//	{…, [k] = v}      table({…}, k, v)
//	t[k] = v          set(t, k, v)
//	function … end    closure(n, function … end), or a charge(n) before a
//	                  statement that defines a function
//
// What is left allocates no more than its own source is long, once for each
// call of something counted.
type instrument struct {
	depth   int
	tooDeep bool
	usesArg bool // the script may use "arg"
	idents  int  // identifiers seen so far: no closure has more upvalues
	counted int  // counting calls put in so far
}

func (in *instrument) enter() bool {
	in.depth++
	if in.depth > maxNesting {
		in.tooDeep = true
	}
	return !in.tooDeep
}

func (in *instrument) leave() { in.depth-- }

func (in *instrument) block(stmts []ast.Stmt) []ast.Stmt {
	if !in.enter() {
		return nil
	}
	defer in.leave()
	out := make([]ast.Stmt, 0, len(stmts))
	for _, s := range stmts {
		out = in.stmt(out, s)
	}
	return out
}

// stmt appends what s becomes.
func (in *instrument) stmt(out []ast.Stmt, s ast.Stmt) []ast.Stmt {
	switch st := s.(type) {
	case *ast.AssignStmt:
		return in.assign(out, st)
	case *ast.LocalAssignStmt:
		if len(st.Names) == 1 && len(st.Exprs) == 1 {
			if fn, ok := st.Exprs[0].(*ast.FunctionExpr); ok {
				// The compiler lets such a function see its own name.
				cost := in.function(fn)
				return append(out, in.call(st, fnCharge, literal(st, cost)), st)
			}
		}
		in.exprs(st.Exprs)
	case *ast.FuncCallStmt:
		st.Expr = in.expr(st.Expr)
	case *ast.DoBlockStmt:
		st.Stmts = in.block(st.Stmts)
	case *ast.WhileStmt:
		st.Condition = in.expr(st.Condition)
		st.Stmts = in.block(st.Stmts)
	case *ast.RepeatStmt:
		st.Stmts = in.block(st.Stmts)
		st.Condition = in.expr(st.Condition)
	case *ast.IfStmt:
		st.Condition = in.expr(st.Condition)
		st.Then = in.block(st.Then)
		st.Else = in.block(st.Else)
	case *ast.NumberForStmt:
		st.Init, st.Limit = in.expr(st.Init), in.expr(st.Limit)
		if st.Step != nil {
			st.Step = in.expr(st.Step)
		}
		st.Stmts = in.block(st.Stmts)
	case *ast.GenericForStmt:
		in.exprs(st.Exprs)
		st.Stmts = in.block(st.Stmts)
	case *ast.FuncDefStmt:
		return in.funcDef(out, st)
	case *ast.ReturnStmt:
		in.exprs(st.Exprs)
	}
	return append(out, s)
}

func (in *instrument) exprs(list []ast.Expr) {
	for i := range list {
		list[i] = in.expr(list[i])
	}
}

func (in *instrument) expr(e ast.Expr) ast.Expr {
	if !in.enter() {
		return e
	}
	defer in.leave()
	switch ex := e.(type) {
	case *ast.IdentExpr:
		in.idents++
	case *ast.AttrGetExpr:
		ex.Object, ex.Key = in.expr(ex.Object), in.expr(ex.Key)
	case *ast.FuncCallExpr:
		if ex.Func != nil {
			ex.Func = in.expr(ex.Func)
		} else {
			ex.Receiver = in.expr(ex.Receiver)
		}
		in.exprs(ex.Args)
	case *ast.LogicalOpExpr:
		ex.Lhs, ex.Rhs = in.expr(ex.Lhs), in.expr(ex.Rhs)
	case *ast.RelationalOpExpr:
		ex.Lhs, ex.Rhs = in.expr(ex.Lhs), in.expr(ex.Rhs)
	case *ast.ArithmeticOpExpr:
		ex.Lhs, ex.Rhs = in.expr(ex.Lhs), in.expr(ex.Rhs)
	case *ast.UnaryMinusOpExpr:
		ex.Expr = in.expr(ex.Expr)
	case *ast.UnaryNotOpExpr:
		ex.Expr = in.expr(ex.Expr)
	case *ast.UnaryLenOpExpr:
		ex.Expr = in.expr(ex.Expr)
	case *ast.StringConcatOpExpr:
		return in.concat(ex)
	case *ast.TableExpr:
		return in.table(ex)
	case *ast.FunctionExpr:
		cost := in.function(ex)
		return in.callExpr(ex, fnClosure, literal(ex, cost), ex)
	}
	return e
}

// concatOperands is how many operands one call takes; a function has 200
// registers.
const concatOperands = 50

func (in *instrument) concat(ex *ast.StringConcatOpExpr) ast.Expr {
	var operands []ast.Expr
	var rest ast.Expr = ex
	for {
		c, ok := rest.(*ast.StringConcatOpExpr)
		if !ok || len(operands) == concatOperands {
			break
		}
		operands = append(operands, in.expr(c.Lhs))
		rest = c.Rhs
	}
	operands = append(operands, single(in.expr(rest)))
	return in.callExpr(ex, fnConcat, operands...)
}

func (in *instrument) table(ex *ast.TableExpr) ast.Expr {
	var named []ast.Expr // keys and values of fields whose key is computed
	fields := ex.Fields[:0:0]
	for _, f := range ex.Fields {
		f.Value = in.expr(f.Value)
		if f.Key == nil {
			fields = append(fields, f)
			continue
		}
		if _, ok := f.Key.(*ast.StringExpr); ok {
			fields = append(fields, f)
			continue
		}
		named = append(named, in.expr(f.Key), single(f.Value))
	}
	if len(named) > 2*concatOperands {
		// More than a call has registers for: let them be set one by one.
		return in.largeTable(ex, fields, named)
	}
	ex.Fields = fields
	if len(fields) == 0 && len(named) == 0 {
		return in.callExpr(ex, fnTable)
	}
	return in.callExpr(ex, fnTable, append([]ast.Expr{ex}, named...)...)
}

// largeTable makes table(table(table({…}, k1, v1, …), k2, v2, …), …).
func (in *instrument) largeTable(ex *ast.TableExpr, fields []*ast.Field, named []ast.Expr) ast.Expr {
	ex.Fields = fields
	var out ast.Expr = ex
	for part := range slices.Chunk(named, 2*concatOperands) {
		out = in.callExpr(ex, fnTable, append([]ast.Expr{single(out)}, part...)...)
	}
	return out
}

// function rewrites the body of a function and returns the bytes that a closure
// of it takes at most.
func (in *instrument) function(fn *ast.FunctionExpr) int {
	before := in.idents
	fn.Stmts = in.block(fn.Stmts)
	if fn.ParList.HasVargs && in.usesArg {
		fn.Stmts = append([]ast.Stmt{in.call(fn, fnVarargs, ident(fn, "arg"))}, fn.Stmts...)
	}
	return 160 + 64*min(255, in.idents-before)
}

func (in *instrument) funcDef(out []ast.Stmt, st *ast.FuncDefStmt) []ast.Stmt {
	cost := in.function(st.Func)
	if _, ok := st.Name.Func.(*ast.IdentExpr); ok && st.Name.Method == "" {
		in.idents++
		return append(out, in.call(st, fnCharge, literal(st, cost)), st)
	}
	target, _ := st.Name.Func.(*ast.AttrGetExpr)
	if st.Name.Method != "" {
		method := &ast.StringExpr{Value: st.Name.Method}
		target = &ast.AttrGetExpr{Object: st.Name.Receiver, Key: method}
		at(st, method)
		at(st, target)
		st.Func.ParList.Names = append([]string{"self"}, st.Func.ParList.Names...)
	}
	return append(out, in.call(st, fnSet, in.expr(target.Object), in.expr(target.Key),
		in.callExpr(st, fnClosure, literal(st, cost), st.Func)))
}

// assign rewrites an assignment of which a target is a field of a table.
func (in *instrument) assign(out []ast.Stmt, st *ast.AssignStmt) []ast.Stmt {
	before := in.counted
	in.exprs(st.Rhs)
	_, direct := st.Rhs[0].(*ast.FuncCallExpr)
	// A call inside an expression that is assigned to the last parameter of a
	// function would overwrite it before its arguments are read, by a mistake of
	// the compiler; the script has no call there, so it shall not meet that.
	plain := len(st.Rhs) == 1 && (direct || in.counted == before)
	fields := false
	for _, lhs := range st.Lhs {
		if a, ok := lhs.(*ast.AttrGetExpr); ok {
			fields = true
			a.Object, a.Key = in.expr(a.Object), in.expr(a.Key)
		} else {
			in.expr(lhs)
		}
	}
	switch {
	case !fields && plain:
		return append(out, st)
	case fields && len(st.Lhs) == 1 && len(st.Rhs) == 1:
		a := st.Lhs[0].(*ast.AttrGetExpr)
		return append(out, in.call(st, fnSet, a.Object, a.Key, st.Rhs[0]))
	}
	// Everything is evaluated before anything is assigned.
	block := &ast.DoBlockStmt{}
	at(st, block)
	var names []string
	local := func(e ast.Expr) ast.Expr {
		name := "\x00" + strconv.Itoa(len(names))
		names = append(names, name)
		if e != nil {
			l := &ast.LocalAssignStmt{Names: []string{name}, Exprs: []ast.Expr{e}}
			at(st, l)
			block.Stmts = append(block.Stmts, l)
		}
		return ident(st, name)
	}
	for _, lhs := range st.Lhs {
		if a, ok := lhs.(*ast.AttrGetExpr); ok {
			a.Object = local(single(a.Object))
			if _, constant := a.Key.(*ast.StringExpr); !constant {
				a.Key = local(single(a.Key))
			}
		}
	}
	first := len(names)
	values := make([]ast.Expr, len(st.Lhs))
	for i := range st.Lhs {
		values[i] = local(nil)
	}
	l := &ast.LocalAssignStmt{Names: names[first:], Exprs: st.Rhs}
	at(st, l)
	block.Stmts = append(block.Stmts, l)
	for i := len(st.Lhs) - 1; i >= 0; i-- {
		if a, ok := st.Lhs[i].(*ast.AttrGetExpr); ok {
			block.Stmts = append(block.Stmts, in.call(st, fnSet, a.Object, a.Key, values[i]))
			continue
		}
		one := &ast.AssignStmt{Lhs: []ast.Expr{st.Lhs[i]}, Rhs: []ast.Expr{values[i]}}
		at(st, one)
		block.Stmts = append(block.Stmts, one)
	}
	return append(out, block)
}

// single makes an expression that may give several values give one.
func single(e ast.Expr) ast.Expr {
	switch ex := e.(type) {
	case *ast.FuncCallExpr:
		if id, ok := ex.Func.(*ast.IdentExpr); ok && slices.Contains(counters, id.Value) {
			return e // gives one
		}
		ex.AdjustRet = true
	case *ast.Comma3Expr:
		ex.AdjustRet = true
	}
	return e
}

// at gives n the lines of from.
func at(from, n ast.PositionHolder) {
	n.SetLine(from.Line())
	n.SetLastLine(max(from.Line(), from.LastLine()))
}

func ident(from ast.PositionHolder, name string) *ast.IdentExpr {
	e := &ast.IdentExpr{Value: name}
	at(from, e)
	return e
}

func literal(from ast.PositionHolder, n int) *ast.NumberExpr {
	e := &ast.NumberExpr{Value: strconv.Itoa(n)}
	at(from, e)
	return e
}

func (in *instrument) callExpr(from ast.PositionHolder, name string, args ...ast.Expr) *ast.FuncCallExpr {
	in.counted++
	// AdjustRet stays unset though the functions give one value: the compiler
	// miscompiles "s = (f(s))" when s is the last parameter.
	e := &ast.FuncCallExpr{Func: ident(from, name), Args: args}
	at(from, e)
	return e
}

func (in *instrument) call(from ast.PositionHolder, name string, args ...ast.Expr) ast.Stmt {
	s := &ast.FuncCallStmt{Expr: in.callExpr(from, name, args...)}
	at(from, s)
	return s
}
