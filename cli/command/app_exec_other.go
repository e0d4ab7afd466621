//go:build !unix

package command

import "time"

// sizePoll is how often the size is looked at: nothing tells of changes here.
const sizePoll = 500 * time.Millisecond

// sizeChanges tells when the terminal may have another size.
func sizeChanges() (changed <-chan time.Time, stop func()) {
	t := time.NewTicker(sizePoll)
	return t.C, t.Stop
}
