package workspace

// MayVary notes that the same inputs may give another output the next time: a
// template uses chance, the clock, or keys in no order. Whoever runs the tool
// then runs it again and compares.
func (w *Workspace) MayVary() { w.mayVary = true }

// Varies reports whether MayVary was called.
func (w *Workspace) Varies() bool { return w.mayVary }
