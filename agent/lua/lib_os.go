package lua

import (
	"fmt"
	"strings"
	"time"

	glua "github.com/yuin/gopher-lua"
)

// osFuncs is what Argo CD leaves of the library: the time. Here it is the time
// of the operation, so that a repeated run gives the same result, in UTC.
func (st *state) osFuncs() map[string]glua.LGFunction {
	return map[string]glua.LGFunction{
		"time": st.osTime, "date": st.osDate,
		"clock":    func(l *glua.LState) int { l.Push(glua.LNumber(0)); return 1 },
		"difftime": binary(func(a, b float64) float64 { return a - b }),
	}
}

func (st *state) osTime(l *glua.LState) int {
	if l.Get(1) == glua.LNil {
		l.Push(glua.LNumber(st.now().Unix()))
		return 1
	}
	t := st.checkTable(l, 1)
	// As in gopher-lua what is missing is no error, which scripts rely on that
	// take a time apart without looking whether it is one.
	field := func(name string, missing int) int {
		switch v := t.RawGetString(name).(type) {
		case glua.LNumber:
			return int(v)
		case glua.LString:
			if n, ok := parseNumber(string(v)); ok {
				return int(n)
			}
		}
		return missing
	}
	year, month, day := field("year", -1), field("month", -1), field("day", -1)
	at := time.Date(year, time.Month(month), day, field("hour", 12), field("min", 0), field("sec", 0), 0, time.UTC)
	l.Push(glua.LNumber(at.Unix()))
	return 1
}

func (st *state) osDate(l *glua.LState) int {
	format := l.OptString(1, "%c")
	at := st.now().UTC()
	if l.Get(2) != glua.LNil {
		at = time.Unix(l.CheckInt64(2), 0).UTC()
	}
	format = strings.TrimPrefix(format, "!") // it is UTC anyway
	if strings.HasPrefix(format, "*t") {
		t := l.CreateTable(0, 8)
		st.m.charge(l, tableBytes+9*entryBytes)
		for _, f := range []struct {
			name  string
			value int
		}{
			{"year", at.Year()}, {"month", int(at.Month())}, {"day", at.Day()}, {"hour", at.Hour()}, {"min", at.Minute()},
			{"sec", at.Second()}, {"wday", int(at.Weekday()) + 1}, {"yday", at.YearDay()},
		} {
			t.RawSetString(f.name, glua.LNumber(f.value))
		}
		t.RawSetString("isdst", glua.LFalse)
		l.Push(t)
		return 1
	}
	st.m.str(l, 32*len(format))
	l.Push(glua.LString(strftime(at, format)))
	return 1
}

// goLayout has Go's layout for a conversion of C's strftime.
var goLayout = map[byte]string{
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'h': "Jan", 'd': "02", 'e': "_2", 'D': "01/02/06",
	'F': "2006-01-02", 'H': "15", 'I': "03", 'm': "01", 'M': "04", 'p': "PM", 'S': "05", 'R': "15:04",
	'T': "15:04:05", 'X': "15:04:05", 'x': "01/02/06", 'y': "06", 'Y': "2006", 'z': "-0700", 'Z': "MST",
	'c': "Mon Jan _2 15:04:05 2006",
}

func strftime(at time.Time, format string) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		switch c := format[i]; c {
		case '%':
			b.WriteByte('%')
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'j':
			fmt.Fprintf(&b, "%03d", at.YearDay())
		case 'w':
			fmt.Fprintf(&b, "%d", int(at.Weekday()))
		case 's':
			fmt.Fprintf(&b, "%d", at.Unix())
		default:
			if layout := goLayout[c]; layout != "" {
				b.WriteString(at.Format(layout))
			} else {
				b.WriteByte('%')
				b.WriteByte(c)
			}
		}
	}
	return b.String()
}
