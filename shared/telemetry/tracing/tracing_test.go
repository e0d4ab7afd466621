package tracing

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestAPlaceSurvivesItsWay(t *testing.T) {
	ctx := Within(t.Context(), good)
	if got := Parent(ctx); got != good {
		t.Errorf("got %q", got)
	}
	if got := ID(ctx); got != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("got %q", got)
	}
	// A span in it goes on with the trace.
	ctx, span := sdk.NewTracerProvider().Tracer("t").Start(ctx, "s")
	defer span.End()
	if got := Parent(ctx); !strings.HasPrefix(got, good[:36]) || got == good {
		t.Errorf("got %q", got)
	}
}

// What was decided not to be collected stays so; nothing of it is stored or sent.
func TestWhatIsNotCollectedDoesNotTravel(t *testing.T) {
	unsampled := good[:53] + "00"
	ctx := Within(t.Context(), unsampled)
	if sc := trace.SpanContextFromContext(ctx); !sc.IsValid() || sc.IsSampled() {
		t.Errorf("got %v", sc)
	}
	if Parent(ctx) != "" || ID(ctx) != "" {
		t.Errorf("%q %q", Parent(ctx), ID(ctx))
	}
	if Parent(t.Context()) != "" || ID(t.Context()) != "" || Within(t.Context(), "") != t.Context() {
		t.Error("there is a trace where none is")
	}
}

func TestNonsenseIsNoPlace(t *testing.T) {
	for _, s := range []string{
		"", "00", good[:54], good + "0", strings.ToUpper(good), "ff" + good[2:], "0x" + good[2:],
		"00-00000000000000000000000000000000-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
		good[:53] + "zz", strings.Replace(good, "-", "_", 1), strings.Repeat("a", 1<<20), "00-\x00\x00\x00" + good[6:],
	} {
		if sc := Parse(s); sc.IsValid() && !strings.HasPrefix(s, "0x") {
			t.Errorf("%.80q is a place", s)
		}
		if got := Parent(Within(context.Background(), s)); got != "" && got != good {
			t.Errorf("%.80q becomes %q", s, got)
		}
	}
	// A later version may say more behind.
	if sc := Parse("01" + good[2:] + "-more"); !sc.IsValid() {
		t.Error("a later version is not understood")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(good)
	f.Add("00-")
	f.Fuzz(func(t *testing.T, s string) {
		if sc := Parse(s); sc.IsSampled() && len(Format(sc)) != parentLen {
			t.Errorf("%q becomes %q", s, Format(sc))
		}
	})
}

func TestLinesOfTheLogTellTheTrace(t *testing.T) {
	var b bytes.Buffer
	log := Log(slog.New(slog.NewTextHandler(&b, nil))).With("part", "x").WithGroup("g")
	log.InfoContext(Within(t.Context(), good), "in", "k", "v")
	log.InfoContext(t.Context(), "out")
	log.Info("none")
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], "trace_id=0af7651916cd43dd8448eb211c80319c") ||
		strings.Contains(lines[1]+lines[2], "trace_id") || !strings.Contains(lines[0], "part=x") {
		t.Errorf("got %s", b.String())
	}
}

// While nobody collects a span costs next to nothing, and stores nothing.
func BenchmarkOff(b *testing.B) {
	tracer, ctx := Off(), context.Background()
	b.ReportAllocs()
	for b.Loop() {
		ctx, span := tracer.Start(ctx, "s")
		if Parent(ctx) != "" {
			b.Fatal("a place")
		}
		span.End()
	}
}

func TestOffMakesNothing(t *testing.T) {
	ctx, span := Or(nil).Start(t.Context(), "s")
	if span.IsRecording() || Parent(ctx) != "" {
		t.Error("there is a span")
	}
	if n := testing.AllocsPerRun(100, func() {
		_, span := Off().Start(context.Background(), "s")
		span.End()
	}); n > 2 {
		t.Errorf("%v allocations", n)
	}
}
