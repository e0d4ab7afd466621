package wire

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// fill sets every field of a value to something that is not its zero value and
// differs from field to field, so that a forgotten or swapped field shows.
type filler struct{ n int64 }

func (f *filler) fill(t *testing.T, v reflect.Value) {
	t.Helper()
	f.n++
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(1_700_000_000+f.n, 123_000).UTC()))
		return
	case time.Duration:
		v.SetInt(int64(time.Second) * f.n)
		return
	case json.RawMessage:
		v.SetBytes([]byte(`{"n":` + strings.Repeat("1", int(f.n%5)+1) + `}`))
		return
	case model.Digest:
		v.SetString("sha256:" + strings.Repeat("ab", 28) + hex8(f.n))
		return
	case model.OperationKind:
		v.SetString(string(model.OperationSync))
		return
	case model.OperationPhase:
		v.SetString(string(model.PhaseFailed))
		return
	case model.WithdrawMode:
		v.SetString(string(model.WithdrawCascade))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(t, v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(t, v.Field(i))
		}
	case reflect.Slice:
		s := reflect.MakeSlice(v.Type(), 2, 2)
		for i := range 2 {
			f.fill(t, s.Index(i))
		}
		v.Set(s)
	case reflect.Map:
		m := reflect.MakeMap(v.Type())
		k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		f.fill(t, k)
		f.fill(t, e)
		m.SetMapIndex(k, e)
		v.Set(m)
	case reflect.String:
		v.SetString("s" + hex8(f.n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(f.n)
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(f.n % 250))
	default:
		t.Fatalf("fill does not know %s", v.Type())
	}
}

func hex8(n int64) string {
	const d = "0123456789abcdef"
	b := [8]byte{}
	for i := range b {
		b[7-i] = d[n>>(4*i)&15]
	}
	return string(b[:])
}

// everyFieldSet fails when a field of a message is at its default: something
// of the model is not carried, or the message has a field that nothing fills.
func everyFieldSet(t *testing.T, m proto.Message, except ...string) {
	t.Helper()
	r := m.ProtoReflect()
	fields := r.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		excepted := false
		for _, e := range except {
			excepted = excepted || string(fd.Name()) == e
		}
		if !excepted && !r.Has(fd) {
			t.Errorf("%s.%s is not set", r.Descriptor().Name(), fd.Name())
		}
		if fd.Kind() == protoreflect.MessageKind && !fd.IsList() && r.Has(fd) && strings.HasPrefix(string(fd.Message().FullName()), "hawser.") {
			everyFieldSet(t, r.Get(fd).Message().Interface())
		}
	}
}

// overTheWire encodes and decodes, as gRPC does.
func overTheWire[M proto.Message](t *testing.T, m M) M {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	out := m.ProtoReflect().New().Interface()
	if err := proto.Unmarshal(b, out); err != nil {
		t.Fatal(err)
	}
	return out.(M)
}

func roundTrip[V any, M proto.Message](t *testing.T, to func(V) (M, error), from func(M) (V, error), except ...string) {
	t.Helper()
	for seed := range int64(3) {
		f := filler{n: seed * 1000}
		var v V
		f.fill(t, reflect.ValueOf(&v).Elem())
		m, err := to(v)
		if err != nil {
			t.Fatal(err)
		}
		everyFieldSet(t, m, except...)
		got, err := from(overTheWire(t, m))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, v) {
			t.Errorf("came back different:\n got %+v\nwant %+v", got, v)
		}
	}
}

func noError[V any, M any](f func(V) M) func(V) (M, error) {
	return func(v V) (M, error) { return f(v), nil }
}

func TestEveryFieldSurvivesTheWire(t *testing.T) {
	t.Run("hello", func(t *testing.T) {
		roundTrip(t, func(h model.Hello) (*agentv1.Hello, error) {
			return HelloToProto(h)
		}, func(p *agentv1.Hello) (model.Hello, error) { return Hello(p) })
	})
	t.Run("welcome", func(t *testing.T) { roundTrip(t, noError(WelcomeToProto), Welcome) })
	t.Run("withdraw", func(t *testing.T) { roundTrip(t, WithdrawToProto, Withdraw) })
	t.Run("command", func(t *testing.T) { roundTrip(t, CommandToProto, Command) })
	t.Run("operation update", func(t *testing.T) { roundTrip(t, OperationUpdateToProto, OperationUpdate) })
	t.Run("app report", func(t *testing.T) { roundTrip(t, AppReportToProto, AppReport) })
	t.Run("cluster report", func(t *testing.T) { roundTrip(t, noError(ClusterReportToProto), ClusterReport) })
	t.Run("settings", func(t *testing.T) { roundTrip(t, noError(SettingsToProto), Settings) })
	t.Run("open tunnel", func(t *testing.T) { roundTrip(t, noError(OpenTunnelToProto), OpenTunnel) })
	t.Run("go away", func(t *testing.T) { roundTrip(t, noError(GoAwayToProto), ParseGoAway) })
	t.Run("epoch", func(t *testing.T) { roundTrip(t, noError(EpochToProto), Epoch) })
	t.Run("desired", func(t *testing.T) {
		inline := []byte("bundle")
		roundTrip(t, func(d model.Desired) (*agentv1.Desired, error) { return DesiredToProto(d, inline) },
			func(p *agentv1.Desired) (model.Desired, error) {
				d, got, err := Desired(p)
				if string(got) != string(inline) {
					t.Errorf("inline bundle came back as %q", got)
				}
				return d, err
			})
	})
}

func TestDesiredKeepsItsContentDigest(t *testing.T) {
	// Hub and agent must compute the same digest on either side of the wire.
	var d model.Desired
	(&filler{}).fill(t, reflect.ValueOf(&d).Elem())
	for name, change := range map[string]func(*model.Desired){
		"all set":      func(*model.Desired) {},
		"no revision":  func(d *model.Desired) { d.Revision = model.Revision{} },
		"no policy":    func(d *model.Desired) { d.Spec.SyncPolicy = nil },
		"empty spec":   func(d *model.Desired) { d.Spec = model.DesiredSpec{} },
		"empty limits": func(d *model.Desired) { d.ProjectSpec = model.AppProjectSpec{} },
		"local time": func(d *model.Desired) {
			d.Revision.CommittedAt = d.Revision.CommittedAt.In(time.FixedZone("", 7200))
		},
	} {
		c := d
		change(&c)
		p, err := DesiredToProto(c, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := Desired(overTheWire(t, p))
		if err != nil {
			t.Fatal(err)
		}
		if got.Content() != c.Content() {
			t.Errorf("%s: content digest %s became %s", name, c.Content(), got.Content())
		}
	}
}

func TestBrokenMessagesAreRefused(t *testing.T) {
	valid := func() *agentv1.Desired {
		return &agentv1.Desired{AppUid: "a", Name: "n", Generation: 1, BundleDigest: "sha256:" + strings.Repeat("0", 64), SpecJson: []byte("{}"), ProjectJson: []byte("{}")}
	}
	if _, _, err := Desired(valid()); err != nil {
		t.Fatalf("the valid one is refused: %v", err)
	}
	desired := func(change func(*agentv1.Desired)) func() error {
		return func() error {
			p := valid()
			change(p)
			_, _, err := Desired(p)
			return err
		}
	}
	hello := func(change func(*agentv1.Hello)) func() error {
		return func() error {
			p := &agentv1.Hello{ClusterId: "c", ProtocolMin: 1, ProtocolMax: 1}
			if _, err := Hello(p); err != nil {
				t.Fatalf("the valid one is refused: %v", err)
			}
			change(p)
			_, err := Hello(p)
			return err
		}
	}
	for name, f := range map[string]func() error{
		"nil desired":          func() error { _, _, err := Desired(nil); return err },
		"desired without app":  desired(func(p *agentv1.Desired) { p.AppUid = "" }),
		"generation 0":         desired(func(p *agentv1.Desired) { p.Generation = 0 }),
		"negative generation":  desired(func(p *agentv1.Desired) { p.Generation = -1 }),
		"digest in upper case": desired(func(p *agentv1.Desired) { p.BundleDigest = "sha256:" + strings.Repeat("A", 64) }),
		"short digest":         desired(func(p *agentv1.Desired) { p.BundleDigest = "sha256:00" }),
		"spec is not JSON":     desired(func(p *agentv1.Desired) { p.SpecJson = []byte("{") }),
		"spec is missing":      desired(func(p *agentv1.Desired) { p.SpecJson = nil }),
		"project is a list":    desired(func(p *agentv1.Desired) { p.ProjectJson = []byte("[]") }),
		"nil hello":            func() error { _, err := Hello(nil); return err },
		"hello without id":     hello(func(p *agentv1.Hello) { p.ClusterId = "" }),
		"hello protocol 0":     hello(func(p *agentv1.Hello) { p.ProtocolMin = 0 }),
		"hello range reversed": hello(func(p *agentv1.Hello) { p.ProtocolMin, p.ProtocolMax = 3, 2 }),
		"hello app twice": hello(func(p *agentv1.Hello) {
			p.Known = []*agentv1.KnownApplication{{AppUid: "a"}, {AppUid: "a"}}
		}),
		"hello nil app":        hello(func(p *agentv1.Hello) { p.Known = []*agentv1.KnownApplication{nil} }),
		"hello odd digest":     hello(func(p *agentv1.Hello) { p.Known = []*agentv1.KnownApplication{{AppUid: "a", ContentDigest: "x"}} }),
		"hello negative epoch": hello(func(p *agentv1.Hello) { p.LastEpoch = &agentv1.Epoch{Number: -1} }),
		"hello unfinished op":  hello(func(p *agentv1.Hello) { p.Operations = []*agentv1.OperationUpdate{{Id: "o"}} }),
		"nil welcome":          func() error { _, err := Welcome(nil); return err },
		"welcome without epoch": func() error {
			_, err := Welcome(&agentv1.Welcome{HubId: "h", IncarnationSignature: []byte("s")})
			return err
		},
		"nil withdraw": func() error { _, err := Withdraw(nil); return err },
		"withdraw unspecified": func() error {
			_, err := Withdraw(&agentv1.Withdraw{AppUid: "a", Generation: 1, OperationId: "o"})
			return err
		},
		"withdraw without op": func() error {
			_, err := Withdraw(&agentv1.Withdraw{AppUid: "a", Generation: 1, Mode: agentv1.Withdraw_MODE_CASCADE})
			return err
		},
		"withdraw of unknown mode": func() error { _, err := WithdrawToProto(model.Withdraw{Mode: "burn"}); return err },
		"nil operation":            func() error { _, err := Command(nil); return err },
		"operation of no kind": func() error {
			_, err := Command(&agentv1.Operation{Id: "o", AppUid: "a", Seq: 1, SpecJson: []byte("{}")})
			return err
		},
		"nil update": func() error { _, err := OperationUpdate(nil); return err },
		"update to Queued": func() error {
			_, err := OperationUpdate(&agentv1.OperationUpdate{Id: "o", AppUid: "a", Kind: "sync", Phase: "Queued"})
			return err
		},
		"nil report": func() error { _, err := AppReport(nil); return err },
		"report without number": func() error {
			_, err := AppReport(&agentv1.AppReport{AppUid: "a", StatusJson: []byte("{}")})
			return err
		},
		"nil cluster report": func() error { _, err := ClusterReport(nil); return err },
		"negative nodes":     func() error { _, err := ClusterReport(&agentv1.ClusterReport{Nodes: -1}); return err },
		"nil go away":        func() error { _, err := ParseGoAway(nil); return err },
		"empty id":           func() error { _, err := OperationIDs([]string{""}); return err },
		"empty app":          func() error { _, err := AppUIDs([]string{"a", ""}); return err },
	} {
		if err := f(); !fault.HasCode(err, "wire_invalid") {
			t.Errorf("%s: got %v, want wire_invalid", name, err)
		}
	}
}

func TestFaultsSurviveTheWire(t *testing.T) {
	for _, kind := range []fault.Kind{fault.Invalid, fault.NotFound, fault.Conflict, fault.Denied, fault.Unauthorized, fault.Precondition, fault.Unavailable, fault.RateLimited, fault.Internal} {
		err := fault.FromGRPC(fault.GRPC(fault.New(kind, "some_code", "what: and where").WithFix("do this")))
		f := fault.As(err)
		if f.Kind != kind || f.Code != "some_code" || f.Message != "what: and where; do this" {
			t.Errorf("%s came back as %+v", kind, f)
		}
	}
	if fault.FromGRPC(nil) != nil {
		t.Error("no error became one")
	}
}

func TestPinsAreChecked(t *testing.T) {
	good := "sha256:" + strings.Repeat("0a", 32)
	for in, want := range map[string]string{
		good: good, " " + strings.ToUpper(good) + "\n": good,
		"": "", "sha256:": "", strings.Repeat("0a", 32): "", good + "0": "", "sha1:" + strings.Repeat("0a", 32): "",
	} {
		got, err := ParseCAHash(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("ParseCAHash(%q) = %q, %v", in, got, err)
		}
	}
}
