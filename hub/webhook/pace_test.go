package webhook

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestAFloodBecomesFewLooksAndTheLastEventIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var looks []time.Time
		p := newPacer(func(context.Context, string) { looks = append(looks, time.Now()) })
		for range looksAtOnce + 1000 {
			p.look(t.Context(), "a")
		}
		if len(looks) != looksAtOnce {
			t.Fatalf("%d looks at once", len(looks))
		}
		last := time.Now()
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(looks) != looksAtOnce+1 || !looks[looksAtOnce].After(last) || looks[looksAtOnce].Sub(last) > 2*time.Second {
			t.Fatalf("%d looks after an hour, the last after %v", len(looks), looks[len(looks)-1].Sub(last))
		}
		// Ten minutes of twenty a second.
		looks = nil
		for range 10 * 60 * 20 {
			p.look(t.Context(), "a")
			time.Sleep(50 * time.Millisecond)
		}
		last = time.Now()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(looks); n < 600 || n > 600+looksAtOnce+2 {
			t.Errorf("%d looks in ten minutes", n)
		}
		if end := looks[len(looks)-1]; last.Sub(end) > time.Second {
			t.Errorf("the last look was %v before the end", last.Sub(end))
		}
	})
}

func TestAFloodForOneRepositoryDelaysNoOther(t *testing.T) {
	looks := map[string]int{}
	p := newPacer(func(_ context.Context, u string) { looks[u]++ })
	for range looksAtOnce {
		p.look(t.Context(), "a")
	}
	p.look(t.Context(), "b")
	if looks["b"] != 1 || looks["a"] != looksAtOnce {
		t.Errorf("%v", looks)
	}
}

func TestPacesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(func(context.Context, string) {})
		for i := range maxPaced {
			p.look(t.Context(), fmt.Sprint(i))
		}
		time.Sleep(2 * time.Second)
		p.look(t.Context(), "new")
		if len(p.by) != 1 {
			t.Errorf("%d are kept", len(p.by))
		}
	})
}

// A captured delivery that somebody sends again and again.
func TestAReplayIsOneLookMore(t *testing.T) {
	d := deliveries["GitHub"]
	var poked []string
	h := handlerOf(forAll(testSecret), d.spellings[:1], &poked)
	refused := 0
	for range 1000 {
		if code, _, _ := send(h, d.request(testSecret)); code == http.StatusTooManyRequests {
			refused++
		}
	}
	if len(poked) > 1000-refused || refused < 1000-addressBurst-addressRate*10 {
		t.Errorf("%d looks, %d refused", len(poked), refused)
	}
}
