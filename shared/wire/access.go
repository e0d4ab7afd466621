package wire

import (
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// This file holds what travels on the streams of an access tunnel. Each end
// checks what the other says: a hub may be hostile, and so may an agent.

// Limits of a request.
const (
	maxRequestText = 256      // of names, ids and expressions, in bytes
	maxCommand     = 64 << 10 // of all words of a command together
	maxWords       = 1024
)

// AccessRequestToProto translates a request.
func AccessRequestToProto(r model.AccessRequest) *agentv1.AccessRequest {
	p := &agentv1.AccessRequest{Id: r.ID, By: r.By, AppUid: string(r.App), Timeout: durationToProto(r.Timeout)}
	switch {
	case r.Object != nil:
		p.Verb = &agentv1.AccessRequest_Object{Object: &agentv1.ObjectQuery{
			Selector: selectorToProto(r.Object.ObjectSelector), ManagedFields: r.Object.ManagedFields}}
	case r.Events != nil:
		p.Verb = &agentv1.AccessRequest_Events{Events: &agentv1.EventQuery{
			Selector: selectorToProto(r.Events.ObjectSelector), Follow: r.Events.Follow, Limit: int32(min(r.Events.Limit, model.MaxEvents))}}
	case r.Logs != nil:
		q := r.Logs
		l := &agentv1.LogQuery{
			Selector: selectorToProto(q.ObjectSelector), Container: q.Container, AllContainers: q.AllContainers, Follow: q.Follow,
			Previous: q.Previous, Since: durationToProto(q.Since), SinceTime: timePtrToProto(q.SinceTime), Grep: q.Grep,
		}
		if q.Tail != nil {
			tail := *q.Tail
			l.Tail = &tail
		}
		p.Verb = &agentv1.AccessRequest_Logs{Logs: l}
	case r.Exec != nil:
		q := r.Exec
		p.Verb = &agentv1.AccessRequest_Exec{Exec: &agentv1.ExecCommand{
			Selector: selectorToProto(q.ObjectSelector), Container: q.Container, Command: q.Command, Tty: q.TTY, Stdin: q.Stdin, Size: sizeToProto(q.Size)}}
	case r.Actions != nil:
		p.Verb = &agentv1.AccessRequest_Actions{Actions: &agentv1.ActionQuery{Selector: selectorToProto(*r.Actions)}}
	case r.Kube != nil:
		q := r.Kube
		p.Verb = &agentv1.AccessRequest_Kube{Kube: &agentv1.KubeRequest{
			Method: q.Method, Path: q.Path, Query: q.Query, Headers: headersToProto(q.Headers), Upgrade: q.Upgrade, Body: q.Body,
			Statement: q.Identity.Statement, Signature: q.Identity.Signature}}
	}
	return p
}

// AccessRequest translates a request and checks that it can be one: what it
// names are no paths, and nothing of it is unreasonably large.
func AccessRequest(p *agentv1.AccessRequest) (model.AccessRequest, error) {
	if p == nil {
		return model.AccessRequest{}, invalid("the request is missing")
	}
	r := model.AccessRequest{ID: p.Id, By: p.By, App: model.AppUID(p.AppUid)}
	if err := texts(map[string]string{"id": p.Id, "by": p.By, "app_uid": p.AppUid}); err != nil {
		return r, err
	}
	if _, ofCluster := p.Verb.(*agentv1.AccessRequest_Kube); ofCluster != (p.AppUid == "") {
		if ofCluster {
			return r, invalid("a request to the API server names an application")
		}
		return r, invalid("the request names no application")
	}
	var err error
	if r.Timeout, err = duration(p.Timeout, "timeout"); err != nil {
		return r, err
	}
	switch v := p.Verb.(type) {
	case *agentv1.AccessRequest_Object:
		q := model.ObjectQuery{ManagedFields: v.Object.GetManagedFields()}
		q.ObjectSelector, err = selector(v.Object.GetSelector())
		r.Object = &q
	case *agentv1.AccessRequest_Events:
		q := model.EventQuery{Follow: v.Events.GetFollow(), Limit: int(v.Events.GetLimit())}
		if q.Limit < 0 || q.Limit > model.MaxEvents {
			return r, invalid("limit %d is not between 0 and %d", q.Limit, model.MaxEvents)
		}
		q.ObjectSelector, err = selector(v.Events.GetSelector())
		r.Events = &q
	case *agentv1.AccessRequest_Logs:
		r.Logs, err = logQuery(v.Logs)
	case *agentv1.AccessRequest_Exec:
		r.Exec, err = execQuery(v.Exec)
	case *agentv1.AccessRequest_Actions:
		var s model.ObjectSelector
		s, err = selector(v.Actions.GetSelector())
		r.Actions = &s
	case *agentv1.AccessRequest_Kube:
		k := v.Kube
		r.Kube = &model.KubeRequest{Method: k.GetMethod(), Path: k.GetPath(), Query: k.GetQuery(), Headers: headers(k.GetHeaders()), Upgrade: k.GetUpgrade(), Body: k.GetBody(),
			Identity: model.KubeIdentity{Statement: k.GetStatement(), Signature: k.GetSignature()}}
	default:
		return r, fault.New(fault.Precondition, "access_unsupported", "the agent does not know what was asked for").WithFix("upgrade the agent")
	}
	return r, err
}

func headersToProto(list []model.KubeHeader) []*agentv1.KubeHeader {
	out := make([]*agentv1.KubeHeader, len(list))
	for i, h := range list {
		out[i] = &agentv1.KubeHeader{Name: h.Name, Values: h.Values}
	}
	return out
}

// headers translates headers as they are: package kubecall judges them.
func headers(list []*agentv1.KubeHeader) []model.KubeHeader {
	out := make([]model.KubeHeader, len(list))
	for i, h := range list {
		out[i] = model.KubeHeader{Name: h.GetName(), Values: h.GetValues()}
	}
	return out
}

func logQuery(p *agentv1.LogQuery) (*model.LogQuery, error) {
	q := &model.LogQuery{
		Container: p.GetContainer(), AllContainers: p.GetAllContainers(), Follow: p.GetFollow(), Previous: p.GetPrevious(), Grep: p.GetGrep(),
	}
	var err error
	if q.ObjectSelector, err = selector(p.GetSelector()); err != nil {
		return nil, err
	}
	if err := names(map[string]string{"container": q.Container}); err != nil {
		return nil, err
	}
	if len(q.Grep) > maxRequestText {
		return nil, fault.New(fault.Invalid, "expression_invalid", "the expression has %d bytes; at most %d are taken", len(q.Grep), maxRequestText).WithField("grep")
	}
	if q.Since, err = duration(p.GetSince(), "since"); err != nil {
		return nil, err
	}
	if p.GetSinceTime() != nil {
		at, err := timeFromProto(p.SinceTime, "since_time")
		if err != nil {
			return nil, err
		}
		q.SinceTime = &at
	}
	if p.Tail != nil {
		tail := *p.Tail
		if tail < 0 {
			return nil, invalid("tail %d is negative", tail)
		}
		q.Tail = &tail
	}
	return q, nil
}

func execQuery(p *agentv1.ExecCommand) (*model.ExecQuery, error) {
	q := &model.ExecQuery{Container: p.GetContainer(), Command: p.GetCommand(), TTY: p.GetTty(), Stdin: p.GetStdin()}
	var err error
	if q.ObjectSelector, err = selector(p.GetSelector()); err != nil {
		return nil, err
	}
	if err := names(map[string]string{"container": q.Container}); err != nil {
		return nil, err
	}
	length := 0
	for _, word := range q.Command {
		length += len(word)
		if strings.ContainsRune(word, 0) {
			return nil, fault.New(fault.Invalid, "command_invalid", "a word of the command holds a NUL character").WithField("command")
		}
	}
	if len(q.Command) == 0 || q.Command[0] == "" {
		return nil, fault.New(fault.Invalid, "command_missing", "there is no command to run").WithField("command")
	}
	if length > maxCommand || len(q.Command) > maxWords {
		return nil, fault.New(fault.TooLarge, "command_too_large", "the command has %d words with %d bytes; at most %d and %d are taken", len(q.Command), length, maxWords, maxCommand).WithField("command")
	}
	if s := terminalSize(p.GetSize()); s != nil {
		q.Size = *s
	}
	return q, nil
}

func selectorToProto(s model.ObjectSelector) *agentv1.ObjectSelector {
	p := &agentv1.ObjectSelector{Kind: s.Kind, Namespace: s.Namespace, Name: s.Name}
	if s.Group != nil {
		group := *s.Group
		p.Group = &group
	}
	return p
}

func selector(p *agentv1.ObjectSelector) (model.ObjectSelector, error) {
	s := model.ObjectSelector{Kind: p.GetKind(), Namespace: p.GetNamespace(), Name: p.GetName()}
	if p != nil && p.Group != nil {
		group := *p.Group
		s.Group = &group
	}
	return s, names(map[string]string{"group": p.GetGroup(), "kind": s.Kind, "namespace": s.Namespace, "name": s.Name})
}

// names checks what becomes part of a path at the API server. An agent only
// ever uses names of objects that it knows; this is the first of two walls.
func names(values map[string]string) error {
	for field, v := range values {
		if v == "." || v == ".." || strings.ContainsAny(v, "/%\\") {
			return fault.New(fault.Invalid, "name_invalid", "%s %.60q is not a name", field, v).WithField(field)
		}
	}
	return texts(values)
}

func texts(values map[string]string) error {
	for field, v := range values {
		if len(v) > maxRequestText {
			return fault.New(fault.Invalid, "name_invalid", "%s has %d bytes; at most %d are taken", field, len(v), maxRequestText).WithField(field)
		}
		if !utf8.ValidString(v) || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return fault.New(fault.Invalid, "name_invalid", "%s holds a control character", field).WithField(field)
		}
	}
	return nil
}

func sizeToProto(s model.TerminalSize) *agentv1.TerminalSize {
	if s == (model.TerminalSize{}) {
		return nil
	}
	return &agentv1.TerminalSize{Columns: uint32(s.Columns), Rows: uint32(s.Rows)}
}

// terminalSize is nil for none, and for one that no terminal has.
func terminalSize(p *agentv1.TerminalSize) *model.TerminalSize {
	const most = 1<<16 - 1
	if p == nil || p.Columns == 0 || p.Rows == 0 || p.Columns > most || p.Rows > most {
		return nil
	}
	return &model.TerminalSize{Columns: uint16(p.Columns), Rows: uint16(p.Rows)}
}

// AccessInputToProto translates an input.
func AccessInputToProto(in model.AccessInput) *agentv1.AccessInput {
	switch {
	case in.Size != nil:
		return &agentv1.AccessInput{Input: &agentv1.AccessInput_Size{Size: sizeToProto(*in.Size)}}
	case in.StdinEnd:
		return &agentv1.AccessInput{Input: &agentv1.AccessInput_StdinEnd{StdinEnd: true}}
	}
	return &agentv1.AccessInput{Input: &agentv1.AccessInput_Stdin{Stdin: in.Stdin}}
}

// AccessInput translates an input. One that says nothing is the zero value.
func AccessInput(p *agentv1.AccessInput) model.AccessInput {
	switch v := p.GetInput().(type) {
	case *agentv1.AccessInput_Stdin:
		return model.AccessInput{Stdin: v.Stdin}
	case *agentv1.AccessInput_StdinEnd:
		return model.AccessInput{StdinEnd: v.StdinEnd}
	case *agentv1.AccessInput_Size:
		return model.AccessInput{Size: terminalSize(v.Size)}
	}
	return model.AccessInput{}
}

// AccessAnswerToProto translates a piece of an answer.
func AccessAnswerToProto(a model.AccessAnswer) *agentv1.AccessAnswer {
	p := &agentv1.AccessAnswer{}
	switch {
	case a.End != nil:
		end := &agentv1.AccessEnd{ExitCode: int32(a.End.ExitCode)}
		if a.End.Err != nil {
			e := fault.As(a.End.Err)
			end.Kind, end.Code, end.Message, end.Fix = string(e.Kind), e.Code, e.Message, e.Fix
		}
		p.Answer = &agentv1.AccessAnswer_End{End: end}
	case a.Object != nil:
		p.Answer = &agentv1.AccessAnswer_Object{Object: &agentv1.ObjectChunk{Json: a.Object}}
	case a.Events != nil:
		list := &agentv1.ObjectEvents{}
		for _, e := range a.Events {
			list.Events = append(list.Events, eventToProto(e))
		}
		p.Answer = &agentv1.AccessAnswer_Events{Events: list}
	case a.Sources != nil:
		list := &agentv1.LogSources{}
		for _, s := range a.Sources {
			list.Sources = append(list.Sources, &agentv1.LogSource{Number: uint32(s.Number), Namespace: s.Namespace, Pod: s.Pod, Container: s.Container})
		}
		p.Answer = &agentv1.AccessAnswer_Sources{Sources: list}
	case a.Lines != nil:
		list := &agentv1.LogLines{Lines: make([]*agentv1.LogLine, len(a.Lines))}
		lines := make([]agentv1.LogLine, len(a.Lines))
		for i, l := range a.Lines {
			line := &lines[i]
			line.Source, line.Text, line.Partial = uint32(l.Source), l.Text, l.Partial
			if !l.At.IsZero() {
				line.At = l.At.UnixNano()
			}
			list.Lines[i] = line
		}
		p.Answer = &agentv1.AccessAnswer_Lines{Lines: list}
	case a.Notice != nil:
		p.Answer = &agentv1.AccessAnswer_Notice{Notice: &agentv1.LogNotice{Source: uint32(a.Notice.Source), Code: a.Notice.Code, Message: a.Notice.Message}}
	case a.Started != nil:
		p.Answer = &agentv1.AccessAnswer_Started{Started: &agentv1.ExecStarted{Namespace: a.Started.Namespace, Pod: a.Started.Pod, Container: a.Started.Container}}
	case a.Output != nil:
		p.Answer = &agentv1.AccessAnswer_Output{Output: &agentv1.ExecOutput{Stdout: a.Output.Stdout, Stderr: a.Output.Stderr}}
	case a.Actions != nil:
		list := &agentv1.ResourceActions{}
		for _, x := range a.Actions {
			list.Actions = append(list.Actions, &agentv1.ResourceAction{Name: x.Name, DisplayName: x.DisplayName, Disabled: x.Disabled, Params: x.Params})
		}
		p.Answer = &agentv1.AccessAnswer_Actions{Actions: list}
	case a.Kube != nil:
		p.Answer = &agentv1.AccessAnswer_Kube{Kube: &agentv1.KubeAnswer{Status: int32(a.Kube.Status), Headers: headersToProto(a.Kube.Headers)}}
	case a.Data != nil:
		p.Answer = &agentv1.AccessAnswer_Data{Data: a.Data}
	}
	return p
}

// AccessAnswer translates a piece of an answer. One that this hub does not know
// is the zero value.
func AccessAnswer(p *agentv1.AccessAnswer) (model.AccessAnswer, error) {
	var a model.AccessAnswer
	switch v := p.GetAnswer().(type) {
	case *agentv1.AccessAnswer_End:
		a.End = accessEnd(v.End)
	case *agentv1.AccessAnswer_Kube:
		a.Kube = &model.KubeAnswer{Status: int(v.Kube.GetStatus()), Headers: headers(v.Kube.GetHeaders())}
	case *agentv1.AccessAnswer_Data:
		a.Data = v.Data
	case *agentv1.AccessAnswer_Object:
		a.Object = v.Object.GetJson()
	case *agentv1.AccessAnswer_Events:
		a.Events = []model.ObjectEvent{}
		for _, e := range v.Events.GetEvents() {
			event, err := objectEvent(e)
			if err != nil {
				return a, err
			}
			a.Events = append(a.Events, event)
		}
	case *agentv1.AccessAnswer_Sources:
		a.Sources = []model.LogSource{}
		for _, s := range v.Sources.GetSources() {
			a.Sources = append(a.Sources, model.LogSource{Number: int(s.GetNumber()), Namespace: s.GetNamespace(), Pod: s.GetPod(), Container: s.GetContainer()})
		}
	case *agentv1.AccessAnswer_Lines:
		a.Lines = make([]model.LogLine, 0, len(v.Lines.GetLines()))
		for _, l := range v.Lines.GetLines() {
			line := model.LogLine{Source: int(l.GetSource()), Text: l.GetText(), Partial: l.GetPartial()}
			if l.GetAt() != 0 {
				line.At = time.Unix(0, l.GetAt()).UTC()
			}
			a.Lines = append(a.Lines, line)
		}
	case *agentv1.AccessAnswer_Notice:
		a.Notice = &model.LogNotice{Source: int(v.Notice.GetSource()), Code: v.Notice.GetCode(), Message: v.Notice.GetMessage()}
	case *agentv1.AccessAnswer_Started:
		a.Started = &model.ExecStarted{Namespace: v.Started.GetNamespace(), Pod: v.Started.GetPod(), Container: v.Started.GetContainer()}
	case *agentv1.AccessAnswer_Output:
		a.Output = &model.ExecOutput{Stdout: v.Output.GetStdout(), Stderr: v.Output.GetStderr()}
	case *agentv1.AccessAnswer_Actions:
		a.Actions = []model.ResourceAction{}
		for _, x := range v.Actions.GetActions() {
			a.Actions = append(a.Actions, model.ResourceAction{Name: x.GetName(), DisplayName: x.GetDisplayName(), Disabled: x.GetDisabled(), Params: x.GetParams()})
		}
	}
	return a, nil
}

// accessEnd turns an agent's error into a fault. A kind that there is not, and
// one that would be the hub's own fault, is the cluster's.
func accessEnd(p *agentv1.AccessEnd) *model.AccessEnd {
	end := &model.AccessEnd{ExitCode: int(p.GetExitCode())}
	if p.GetCode() == "" {
		return end
	}
	kind := fault.Kind(p.Kind)
	switch {
	case kind.HTTPStatus() == 0, kind == fault.Internal, kind == fault.Unauthorized:
		kind = fault.Upstream
	}
	code := p.Code
	if len(code) > 64 || strings.ContainsFunc(code, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' }) {
		code = "access_failed"
	}
	end.Err = &fault.Error{Kind: kind, Code: code, Message: p.Message, Fix: p.Fix}
	return end
}

func eventToProto(e model.ObjectEvent) *agentv1.ObjectEvent {
	return &agentv1.ObjectEvent{
		Uid: e.UID, Type: e.Type, Reason: e.Reason, Message: e.Message, Source: e.Source, Count: int32(min(e.Count, 1<<31-1)),
		FirstSeen: timeToProto(e.FirstSeen), LastSeen: timeToProto(e.LastSeen),
		ObjectGroup: e.Object.Group, ObjectKind: e.Object.Kind, ObjectNamespace: e.Object.Namespace, ObjectName: e.Object.Name,
		ObjectUid: e.ObjectUID, ObjectField: e.Field,
	}
}

func objectEvent(p *agentv1.ObjectEvent) (model.ObjectEvent, error) {
	e := model.ObjectEvent{
		UID: p.GetUid(), Type: p.GetType(), Reason: p.GetReason(), Message: p.GetMessage(), Source: p.GetSource(), Count: int(p.GetCount()),
		Object:    model.ObjectKey{Group: p.GetObjectGroup(), Kind: p.GetObjectKind(), Namespace: p.GetObjectNamespace(), Name: p.GetObjectName()},
		ObjectUID: p.GetObjectUid(), Field: p.GetObjectField(),
	}
	var err error
	for _, t := range []struct {
		from *timestamppb.Timestamp
		to   *time.Time
		what string
	}{{p.GetFirstSeen(), &e.FirstSeen, "event.first_seen"}, {p.GetLastSeen(), &e.LastSeen, "event.last_seen"}} {
		if *t.to, err = timeFromProto(t.from, t.what); err != nil {
			return e, err
		}
	}
	return e, nil
}
