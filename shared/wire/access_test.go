package wire

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// through sends a message over the wire.
func through[M proto.Message](t *testing.T, m M, into M) M {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := proto.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
	return into
}

func TestAccessRequestsTravel(t *testing.T) {
	core, tail := "", int64(0)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	some := model.ObjectSelector{Group: &core, Kind: "Pod", Namespace: "n", Name: "system:x y"}
	for _, r := range []model.AccessRequest{
		{ID: "1", By: "ana", App: "u", Timeout: time.Second, Object: &model.ObjectQuery{ObjectSelector: some, ManagedFields: true}},
		{App: "u", Object: &model.ObjectQuery{}}, // any group is not the core group
		{App: "u", Events: &model.EventQuery{ObjectSelector: some, Follow: true, Limit: 7}},
		{App: "u", Logs: &model.LogQuery{ObjectSelector: some, Container: "c", Follow: true, Previous: true, AllContainers: true,
			Since: time.Minute, SinceTime: &at, Tail: &tail, Grep: "a|b"}},
		{App: "u", Logs: &model.LogQuery{}}, // no tail is not a tail of 0
		{App: "u", Exec: &model.ExecQuery{ObjectSelector: some, Container: "c", Command: []string{"sh", "-c", "echo\n", ""}, TTY: true, Stdin: true,
			Size: model.TerminalSize{Columns: 80, Rows: 24}}},
		{App: "u", Actions: &some},
	} {
		got, err := AccessRequest(through(t, AccessRequestToProto(r), &agentv1.AccessRequest{}))
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%+v\nbecame %+v, %v", r, got, err)
		}
	}
}

func TestAccessRequestsThatAreNoRequests(t *testing.T) {
	object := func(s *agentv1.ObjectSelector) *agentv1.AccessRequest {
		return &agentv1.AccessRequest{AppUid: "u", Verb: &agentv1.AccessRequest_Object{Object: &agentv1.ObjectQuery{Selector: s}}}
	}
	logs := func(q *agentv1.LogQuery) *agentv1.AccessRequest {
		return &agentv1.AccessRequest{AppUid: "u", Verb: &agentv1.AccessRequest_Logs{Logs: q}}
	}
	exec := func(q *agentv1.ExecCommand) *agentv1.AccessRequest {
		return &agentv1.AccessRequest{AppUid: "u", Verb: &agentv1.AccessRequest_Exec{Exec: q}}
	}
	long := strings.Repeat("x", 10_000)
	for name, c := range map[string]struct {
		p    *agentv1.AccessRequest
		code string
	}{
		"nothing":                 {nil, "wire_invalid"},
		"no verb":                 {&agentv1.AccessRequest{AppUid: "u"}, "access_unsupported"},
		"no application":          {&agentv1.AccessRequest{}, "wire_invalid"},
		"a negative timeout":      {&agentv1.AccessRequest{AppUid: "u", Timeout: durationpb.New(-1)}, "wire_invalid"},
		"a long id":               {&agentv1.AccessRequest{AppUid: "u", Id: long}, "name_invalid"},
		"a line end in who asks":  {&agentv1.AccessRequest{AppUid: "u", By: "ana\nroot"}, "name_invalid"},
		"a path as a name":        {object(&agentv1.ObjectSelector{Name: "a/../b"}), "name_invalid"},
		"a dot":                   {object(&agentv1.ObjectSelector{Name: "."}), "name_invalid"},
		"two dots":                {object(&agentv1.ObjectSelector{Namespace: ".."}), "name_invalid"},
		"an escape":               {object(&agentv1.ObjectSelector{Kind: "a%2fb"}), "name_invalid"},
		"another system's path":   {object(&agentv1.ObjectSelector{Kind: `a\b`}), "name_invalid"},
		"a path as a group":       {object(&agentv1.ObjectSelector{Group: proto.String("../v1")}), "name_invalid"},
		"a NUL":                   {object(&agentv1.ObjectSelector{Name: "a\x00"}), "name_invalid"},
		"a long name":             {object(&agentv1.ObjectSelector{Name: long}), "name_invalid"},
		"a path as a container":   {logs(&agentv1.LogQuery{Container: "../x"}), "name_invalid"},
		"a negative tail":         {logs(&agentv1.LogQuery{Tail: proto.Int64(-1)}), "wire_invalid"},
		"a negative since":        {logs(&agentv1.LogQuery{Since: durationpb.New(-time.Second)}), "wire_invalid"},
		"a time that is none":     {logs(&agentv1.LogQuery{SinceTime: &timestamppb.Timestamp{Nanos: -5}}), "wire_invalid"},
		"a long expression":       {logs(&agentv1.LogQuery{Grep: long}), "expression_invalid"},
		"no command":              {exec(&agentv1.ExecCommand{}), "command_missing"},
		"an empty command":        {exec(&agentv1.ExecCommand{Command: []string{"", "x"}}), "command_missing"},
		"a NUL in a command":      {exec(&agentv1.ExecCommand{Command: []string{"a\x00b"}}), "command_invalid"},
		"a command of many words": {exec(&agentv1.ExecCommand{Command: make([]string, 5000)}), "command_missing"},
		"too many words":          {exec(&agentv1.ExecCommand{Command: append([]string{"x"}, make([]string, 5000)...)}), "command_too_large"},
		"a large command":         {exec(&agentv1.ExecCommand{Command: []string{strings.Repeat("x", 1<<20)}}), "command_too_large"},
		"too many events":         {&agentv1.AccessRequest{AppUid: "u", Verb: &agentv1.AccessRequest_Events{Events: &agentv1.EventQuery{Limit: 1 << 30}}}, "wire_invalid"},
		"less than no events":     {&agentv1.AccessRequest{AppUid: "u", Verb: &agentv1.AccessRequest_Events{Events: &agentv1.EventQuery{Limit: -1}}}, "wire_invalid"},
	} {
		if _, err := AccessRequest(c.p); !fault.HasCode(err, c.code) {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
}

func TestAccessAnswersTravel(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
	for _, a := range []model.AccessAnswer{
		{Object: []byte(`{"a":1}`)},
		{Events: []model.ObjectEvent{{UID: "1", Type: "Warning", Reason: "BackOff", Message: "m", Source: "kubelet", Count: 3, FirstSeen: at, LastSeen: at,
			Object: model.ObjectKey{Group: "apps", Kind: "Deployment", Namespace: "n", Name: "web"}, ObjectUID: "o", Field: "f"}, {UID: "2"}}},
		{Sources: []model.LogSource{{Number: 1, Namespace: "n", Pod: "p", Container: "c"}}},
		{Lines: []model.LogLine{{Source: 1, At: at, Text: []byte("a\xff\x00"), Partial: true}, {Source: 2, Text: []byte("b")}}},
		{Notice: &model.LogNotice{Source: 1, Code: "c", Message: "m"}},
		{Started: &model.ExecStarted{Namespace: "n", Pod: "p", Container: "c"}},
		{Output: &model.ExecOutput{Stdout: []byte("o"), Stderr: []byte("e")}},
		{Actions: []model.ResourceAction{{Name: "scale", DisplayName: "Scale", Disabled: true, Params: []string{"replicas"}}}},
		{End: &model.AccessEnd{ExitCode: 42}},
		{End: &model.AccessEnd{Err: &fault.Error{Kind: fault.NotFound, Code: "object_not_found", Message: "none", Fix: "look"}}},
	} {
		got, err := AccessAnswer(through(t, AccessAnswerToProto(a), &agentv1.AccessAnswer{}))
		if err != nil || !reflect.DeepEqual(got, a) {
			t.Errorf("%+v\nbecame %+v, %v", a, got, err)
		}
	}
	if got, err := AccessAnswer(&agentv1.AccessAnswer{}); err != nil || !reflect.DeepEqual(got, model.AccessAnswer{}) {
		t.Errorf("an answer of a newer agent: %+v, %v", got, err)
	}
	bad := &agentv1.AccessAnswer{Answer: &agentv1.AccessAnswer_Events{Events: &agentv1.ObjectEvents{Events: []*agentv1.ObjectEvent{{LastSeen: &timestamppb.Timestamp{Nanos: -1}}}}}}
	if _, err := AccessAnswer(bad); err == nil {
		t.Error("a time that is none is taken")
	}
}

// An agent cannot make its error the hub's or the user's, nor write into codes.
func TestAgentsErrorsAreTheClusters(t *testing.T) {
	for _, c := range []struct {
		end  *agentv1.AccessEnd
		kind fault.Kind
		code string
	}{
		{&agentv1.AccessEnd{Kind: "denied", Code: "vetoed"}, fault.Denied, "vetoed"},
		{&agentv1.AccessEnd{Kind: "internal", Code: "internal"}, fault.Upstream, "internal"},
		{&agentv1.AccessEnd{Kind: "unauthorized", Code: "token_invalid"}, fault.Upstream, "token_invalid"},
		{&agentv1.AccessEnd{Kind: "nonsense", Code: "x"}, fault.Upstream, "x"},
		{&agentv1.AccessEnd{Kind: "denied", Code: "Bad Code\r\n"}, fault.Denied, "access_failed"},
		{&agentv1.AccessEnd{Kind: "denied", Code: strings.Repeat("x", 100)}, fault.Denied, "access_failed"},
	} {
		if e := fault.As(accessEnd(c.end).Err); e.Kind != c.kind || e.Code != c.code {
			t.Errorf("%v became %s %s", c.end, e.Kind, e.Code)
		}
	}
}

func TestAccessInputsTravel(t *testing.T) {
	for _, in := range []model.AccessInput{
		{Stdin: []byte("x\x00")}, {StdinEnd: true}, {Size: &model.TerminalSize{Columns: 65535, Rows: 1}},
	} {
		if got := AccessInput(through(t, AccessInputToProto(in), &agentv1.AccessInput{})); !reflect.DeepEqual(got, in) {
			t.Errorf("%+v became %+v", in, got)
		}
	}
	for _, size := range []*agentv1.TerminalSize{{}, {Columns: 80}, {Columns: 1 << 20, Rows: 24}} {
		if got := AccessInput(&agentv1.AccessInput{Input: &agentv1.AccessInput_Size{Size: size}}); got.Size != nil {
			t.Errorf("%v is a size: %+v", size, got.Size)
		}
	}
	if got := AccessInput(nil); !reflect.DeepEqual(got, model.AccessInput{}) {
		t.Errorf("nothing became %+v", got)
	}
}
