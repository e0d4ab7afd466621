package failpoint

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const (
	// Variable of the environment that says what to do at which point.
	Variable = "HAWSER_FAILPOINTS"
	// Prefix of the line that a program with failpoints writes to standard error
	// at a hit that is traced or acted on: the point's name, how often it was hit
	// and what was done follow, separated by spaces.
	Prefix = "failpoint: "
)

type act int

const (
	kill act = iota
	fail
	pause
)

func (a act) String() string { return [...]string{"kill", "error", "pause"}[a] }

// order is what to do at one point.
type order struct {
	act act
	// nth hit, 0 for each.
	nth  int64
	file string // of pause
}

func (o order) due(hit int64) bool { return o.nth == 0 || o.nth == hit }

// parse reads the variable.
func parse(text string) (orders map[string]order, trace bool, err error) {
	orders = map[string]order{}
	for one := range strings.SplitSeq(text, ";") {
		one = strings.TrimSpace(one)
		switch one {
		case "":
			continue
		case "trace":
			trace = true
			continue
		}
		name, what, ok := strings.Cut(one, "=")
		if !ok {
			return nil, false, refuse(one, "it is not NAME=kill, NAME=error or NAME=pause:FILE, with @N for the Nth hit")
		}
		if About(name) == "" {
			return nil, false, refuse(one, "no point is called %q; there are %s", name, strings.Join(Names(), ", "))
		}
		if _, twice := orders[name]; twice {
			return nil, false, refuse(one, "the point is named twice")
		}
		if orders[name], err = parseOrder(one, what); err != nil {
			return nil, false, err
		}
	}
	return orders, trace, nil
}

func parseOrder(one, what string) (o order, err error) {
	what, o.file, _ = strings.Cut(what, ":")
	what, nth, counted := strings.Cut(what, "@")
	if counted {
		if o.nth, err = strconv.ParseInt(nth, 10, 64); err != nil || o.nth < 1 {
			return o, refuse(one, "@%s is not a number from 1", nth)
		}
	}
	i := slices.Index([]string{kill.String(), fail.String(), pause.String()}, what)
	if i < 0 {
		return o, refuse(one, "%q is not kill, error or pause", what)
	}
	o.act = act(i)
	if (o.act == pause) != (o.file != "") {
		return o, refuse(one, "pause needs a file, and nothing else takes one")
	}
	if o.act != fail && !counted {
		o.nth = 1
	}
	return o, nil
}

func refuse(one, format string, args ...any) error {
	return fmt.Errorf("failpoint: %s: %q: %s", Variable, one, fmt.Sprintf(format, args...))
}
