//go:build !linux

package worker

// Elsewhere a process has what the pool can see to: an environment without
// secrets, a deadline, bounded answers.
func enter(Profile, KernelOffer) (State, error) { return State{}, nil }

// Kernel tells what there is for sandboxes.
func Kernel() KernelOffer { return KernelOffer{} }
