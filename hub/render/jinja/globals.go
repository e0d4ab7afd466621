package jinja

import (
	"slices"
)

// update adds to a dict: those of another, pairs, and names.
func (m *machine) update(d *dict, a *args) error {
	if len(a.pos) > 1 {
		return m.fail("one dict is expected, not %d", len(a.pos))
	}
	if err := m.chargeItems(4 * len(a.names)); err != nil {
		return err
	}
	if len(a.pos) == 1 {
		if from, ok := a.pos[0].(*dict); ok {
			if err := m.chargeItems(4 * len(from.entries)); err != nil {
				return err
			}
			for _, e := range slices.Clone(from.entries) {
				_ = d.set(e.key, e.value) // the keys were keys before
			}
		} else {
			items, err := m.iterate(a.pos[0])
			if err != nil {
				return err
			}
			for _, item := range items {
				pair, err := m.iterate(item)
				if err != nil {
					return err
				}
				if len(pair) != 2 {
					return m.fail("a dict is made of pairs, not of %d values", len(pair))
				}
				if err := d.set(pair[0], pair[1]); err != nil {
					return m.located(err)
				}
			}
		}
	}
	for i, name := range a.names {
		_ = d.set(name, a.named[i]) // a string is a key
	}
	return nil
}

// globals are the functions that every template has.
var globals map[string]any

// forbiddenFunctions are functions of Jinja2, Ansible and Django that differ from
// render to render, or read what is outside.
var forbiddenFunctions = map[string]string{
	"lipsum": "no cluster needs filler text", "now": "the same commit must always render the same: put the date into a value",
	"lookup": "files are read by {% include %}", "query": "files are read by {% include %}",
}

func init() {
	define := func(name string, call func(m *machine, a *args) (any, error)) {
		globals[name] = &function{name, call}
	}
	globals = map[string]any{}
	define("range", makeRange)
	define("dict", func(m *machine, a *args) (any, error) {
		d := newDict()
		return d, m.update(d, a)
	})
	define("namespace", func(m *machine, a *args) (any, error) {
		d := newDict()
		return &namespace{d}, m.update(d, a)
	})
	define("cycler", func(m *machine, a *args) (any, error) {
		if len(a.pos) == 0 || len(a.names) > 0 {
			return nil, m.fail("cycler needs values")
		}
		i := 0
		d := newDict()
		_ = d.set("next", &function{"cycler.next", func(*machine, *args) (any, error) {
			v := a.pos[i%len(a.pos)]
			i++
			return v, nil
		}})
		_ = d.set("reset", &function{"cycler.reset", func(*machine, *args) (any, error) { i = 0; return nil, nil }})
		return &namespace{d}, nil
	})
	define("joiner", func(m *machine, a *args) (any, error) {
		p, err := m.bind("joiner()", a, []string{"sep"}, 0, true)
		if err != nil {
			return nil, err
		}
		sep, err := m.textArg(p[0], ", ")
		if err != nil {
			return nil, err
		}
		used := false
		return &function{"joiner", func(*machine, *args) (any, error) {
			if !used {
				used = true
				return "", nil
			}
			return sep, nil
		}}, nil
	})
	for name, why := range forbiddenFunctions {
		define(name, func(m *machine, _ *args) (any, error) {
			return nil, m.problem(codeForbidden, "%s() is not allowed: %s", name, why)
		})
	}
}

func makeRange(m *machine, a *args) (any, error) {
	if len(a.pos) < 1 || len(a.pos) > 3 || len(a.names) > 0 {
		return nil, m.fail("range takes one to three integers")
	}
	var n [3]int64
	for i, v := range a.pos {
		x, _, isInt, ok := number(v)
		if !ok || !isInt {
			if err := m.defined(v); err != nil {
				return nil, err
			}
			return nil, m.fail("range takes integers, not %s", typeName(v))
		}
		n[i] = x
	}
	from, to, step := int64(0), n[0], int64(1)
	if len(a.pos) > 1 {
		from, to = n[0], n[1]
	}
	if len(a.pos) > 2 {
		step = n[2]
	}
	if step == 0 {
		return nil, m.fail("the step of range cannot be 0")
	}
	var out []any
	for i := from; step > 0 && i < to || step < 0 && i > to; i += step {
		if len(out) >= maxRange {
			return nil, m.fail("range gives at most %d numbers", maxRange)
		}
		out = append(out, i)
		if step > 0 && i > i+step || step < 0 && i < i+step {
			break
		}
	}
	return &list{items: out, kind: kindRange}, m.chargeItems(len(out))
}
