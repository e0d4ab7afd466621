package hostile

import (
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/hawser-dev/hawser/shared/model"
)

// A fleet that comes back at once from one address gets in: each of its agents has
// its handshake, and is answered, in at most three attempts.
// HAWSER_RETURNING is how many there are.
func TestE09_AFleetThatComesBackAtOnceGetsIn(t *testing.T) {
	n := 200
	if s := os.Getenv("HAWSER_RETURNING"); s != "" {
		var err error
		n, err = strconv.Atoi(s)
		must(t, err)
	}
	w := newWorld(t, nil)
	a, _ := w.join("eu")
	var attempts, most atomic.Int64
	var wg sync.WaitGroup
	start, at := make(chan struct{}), time.Now()
	for range n {
		wg.Go(func() {
			<-start
			for try := int64(1); ; try++ {
				attempts.Add(1)
				if h, err := a.HTTP2(within(t), model.AgentServerName); err == nil {
					f, err := h.ReadFrame()
					h.Conn.Close()
					if _, ok := f.(*http2.SettingsFrame); ok && err == nil {
						for old := most.Load(); try > old && !most.CompareAndSwap(old, try); old = most.Load() {
						}
						return
					}
				}
				if try == 3 {
					t.Error("an agent does not get in at the third attempt")
					return
				}
			}
		})
	}
	close(start)
	wg.Wait()
	t.Logf("%d agents were in after %s, %d attempts over all, at most %d of one", n, time.Since(at).Round(time.Millisecond), attempts.Load(), most.Load())
	await(t, "the lobby to be empty", func() bool { return w.strangers() == 0 })
}
