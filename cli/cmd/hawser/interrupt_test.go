package main

import (
	"context"
	"errors"
	"os"
	"testing"
)

func TestTheSecondSignalEndsAtOnce(t *testing.T) {
	signals, ended := make(chan os.Signal), make(chan struct{})
	ctx := interruptible(signals, func() { close(ended) })
	if ctx.Err() != nil {
		t.Fatal("nothing was pressed yet")
	}
	signals <- os.Interrupt
	<-ctx.Done()
	if !errors.Is(ctx.Err(), context.Canceled) {
		t.Errorf("ended by %v", ctx.Err())
	}
	select {
	case <-ended:
		t.Fatal("the first signal leaves time to say what goes on")
	default:
	}
	signals <- os.Interrupt
	<-ended
}
