package client

import (
	"context"
	"errors"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Follow calls check at the start and after each interesting event, until it
// says done. A broken stream is opened again; between streams check is called,
// so that nothing depends on an event having arrived.
func Follow(ctx context.Context, api *Client, check func() (bool, error), interesting func(Event) bool) error {
	pause := 200 * time.Millisecond
	for {
		var done bool
		var checkErr error
		look := func() bool {
			done, checkErr = check()
			return !done && checkErr == nil
		}
		streamErr := api.Events(ctx, "", func(e Event) bool {
			pause = 200 * time.Millisecond
			if e.Type == "hello" || e.Type == "reset" || interesting(e) {
				return look()
			}
			return true
		})
		if done {
			return nil
		}
		if checkErr == nil && ctx.Err() == nil {
			look()
		}
		if done {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for _, err := range []error{checkErr, streamErr} {
			var e *fault.Error
			if errors.As(err, &e) && e.Kind != fault.Unavailable {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
			pause = min(2*pause, 5*time.Second)
		}
	}
}
