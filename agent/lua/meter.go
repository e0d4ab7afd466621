package lua

import (
	"errors"
	"time"

	glua "github.com/yuin/gopher-lua"
)

// What one run of a script may cost.
const (
	// maxTime is real time. A run of few steps is not ended by it: on a busy
	// machine a process may be away for longer.
	maxTime  = 100 * time.Millisecond
	minSteps = 1000
	// maxBytes is what a run may allocate in all, by an upper estimate.
	maxBytes = 32 << 20
	// maxString bounds a string, so that no single step takes long.
	maxString = 1 << 20
	// maxCalls and maxRegisters bound recursion and the values on the stack.
	maxCalls     = 256
	maxRegisters = 8192
)

var (
	errTime   = errors.New("stopped: the script ran longer than 100 ms")
	errMemory = errors.New("stopped: the script used more than 32 MiB of memory")
	errString = errors.New("stopped: the script made a string longer than 1 MiB")
)

// ended is closed: what Done answers when a run is over its limits.
var ended = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// meter counts what a run costs. It is the context of the Lua state, which asks
// Done before every instruction. Once a limit is passed everything that the
// script does fails, so that it cannot catch the error and go on.
type meter struct {
	steps, look int64 // look is the number of steps at which the clock is read next
	bytes       int64
	started     time.Time
	err         error
}

const stepsPerLook = 64

func (m *meter) reset() { *m = meter{started: time.Now(), look: stepsPerLook} }

// Deadline is for context.Context; nothing asks.
func (m *meter) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value is for context.Context; nothing asks.
func (m *meter) Value(any) any { return nil }

// Err says which limit was passed.
func (m *meter) Err() error { return m.err }

// Done counts one step.
func (m *meter) Done() <-chan struct{} {
	m.steps++
	if m.steps < m.look {
		return nil
	}
	return m.check()
}

func (m *meter) check() <-chan struct{} {
	if m.err == nil {
		m.look = m.steps + stepsPerLook
		if m.steps < minSteps || time.Since(m.started) <= maxTime {
			return nil
		}
		m.fail(errTime)
	}
	return ended
}

func (m *meter) fail(err error) {
	m.err, m.look = err, 0
}

// work counts n steps inside a library function. It does not return when the
// run is over.
func (m *meter) work(l *glua.LState, n int) {
	m.steps += int64(n)
	if m.steps >= m.look && m.check() != nil {
		l.RaiseError("%s", m.err.Error())
	}
}

// charge counts n bytes of memory. It does not return when they are too many.
func (m *meter) charge(l *glua.LState, n int) {
	m.bytes += int64(n)
	if m.bytes > maxBytes && m.err == nil {
		m.fail(errMemory)
	}
	if m.err != nil {
		l.RaiseError("%s", m.err.Error())
	}
}

// str counts a new string of n bytes, which must be made only afterwards.
func (m *meter) str(l *glua.LState, n int) {
	if n > maxString && m.err == nil {
		m.fail(errString)
	}
	m.charge(l, n+32)
	m.work(l, n/256)
}
