package lua

import (
	"math"

	glua "github.com/yuin/gopher-lua"
)

func mathConstants(t *glua.LTable) {
	t.RawSetString("pi", glua.LNumber(math.Pi))
	t.RawSetString("huge", glua.LNumber(math.Inf(1)))
}

func (st *state) mathFuncs() map[string]glua.LGFunction {
	funcs := map[string]glua.LGFunction{
		"fmod": binary(math.Mod), "mod": binary(math.Mod), "pow": binary(math.Pow), "atan2": binary(math.Atan2),
		"max": fold(math.Max), "min": fold(math.Min),
		"random": st.mathRandom, "randomseed": func(*glua.LState) int { return 0 },
		"modf": func(l *glua.LState) int {
			whole, part := math.Modf(float64(l.CheckNumber(1)))
			l.Push(glua.LNumber(whole))
			l.Push(glua.LNumber(part))
			return 2
		},
		"frexp": func(l *glua.LState) int {
			f, e := math.Frexp(float64(l.CheckNumber(1)))
			l.Push(glua.LNumber(f))
			l.Push(glua.LNumber(e))
			return 2
		},
		"ldexp": func(l *glua.LState) int {
			l.Push(glua.LNumber(math.Ldexp(float64(l.CheckNumber(1)), l.CheckInt(2))))
			return 1
		},
	}
	for name, f := range map[string]func(float64) float64{
		"abs": math.Abs, "ceil": math.Ceil, "floor": math.Floor, "sqrt": math.Sqrt, "exp": math.Exp,
		"log": math.Log, "log10": math.Log10, "sin": math.Sin, "cos": math.Cos, "tan": math.Tan,
		"asin": math.Asin, "acos": math.Acos, "atan": math.Atan, "sinh": math.Sinh, "cosh": math.Cosh, "tanh": math.Tanh,
		"deg": func(x float64) float64 { return x * 180 / math.Pi },
		"rad": func(x float64) float64 { return x * math.Pi / 180 },
	} {
		funcs[name] = func(l *glua.LState) int {
			l.Push(glua.LNumber(f(float64(l.CheckNumber(1)))))
			return 1
		}
	}
	return funcs
}

func binary(f func(a, b float64) float64) glua.LGFunction {
	return func(l *glua.LState) int {
		l.Push(glua.LNumber(f(float64(l.CheckNumber(1)), float64(l.CheckNumber(2)))))
		return 1
	}
}

func fold(f func(a, b float64) float64) glua.LGFunction {
	return func(l *glua.LState) int {
		v := float64(l.CheckNumber(1))
		for i := 2; i <= l.GetTop(); i++ {
			v = f(v, float64(l.CheckNumber(i)))
		}
		l.Push(glua.LNumber(v))
		return 1
	}
}

// mathRandom depends on the time of the operation alone.
func (st *state) mathRandom(l *glua.LState) int {
	switch l.GetTop() {
	case 0:
		l.Push(glua.LNumber(st.random().Float64()))
	case 1, 2:
		from, to := int64(1), l.CheckInt64(1)
		if l.GetTop() == 2 {
			from, to = to, l.CheckInt64(2)
		}
		if to < from || to-from < 0 || to-from == math.MaxInt64 {
			l.ArgError(l.GetTop(), "interval is empty")
		}
		l.Push(glua.LNumber(from + st.random().Int64N(to-from+1)))
	default:
		l.RaiseError("wrong number of arguments")
	}
	return 1
}
