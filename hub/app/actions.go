package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/gateway"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// actions fits the gateway's access streams to what the API asks about actions.
type actions struct{ gateway *gateway.Gateway }

func (a actions) ResourceActions(ctx context.Context, app fleet.App, by string, key model.ObjectKey) ([]model.ResourceAction, error) {
	id := make([]byte, 8)
	_, _ = rand.Read(id) // never fails
	request := model.AccessRequest{
		ID: hex.EncodeToString(id), By: by, App: app.UID,
		Actions: &model.ObjectSelector{Group: &key.Group, Kind: key.Kind, Namespace: key.Namespace, Name: key.Name},
	}
	if deadline, ok := ctx.Deadline(); ok {
		request.Timeout = time.Until(deadline)
	}
	stream, err := a.gateway.Access(ctx, app.Cluster, request)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	return collectActions(ctx, stream)
}

// The bounds of what an agent may say about the actions of one object: their
// number, and the bytes of their texts.
const (
	maxActions     = 1000
	maxActionBytes = 1 << 20
)

// answers is the part of an access stream that is read here.
type answers interface {
	Receive(ctx context.Context) (model.AccessAnswer, error)
}

// collectActions reads a stream to its end. TooLarge (answer_too_large) when the
// agent says more than it may.
func collectActions(ctx context.Context, stream answers) ([]model.ResourceAction, error) {
	var out []model.ResourceAction
	size := 0
	for {
		answer, err := stream.Receive(ctx)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		for _, x := range answer.Actions {
			size += len(x.Name) + len(x.DisplayName)
			for _, p := range x.Params {
				size += len(p) + 1 // an empty one takes room, too
			}
		}
		if len(out)+len(answer.Actions) > maxActions || size > maxActionBytes {
			return nil, fault.New(fault.TooLarge, "answer_too_large", "the agent offers more than %d actions for the object, or says more than %d KiB about them", maxActions, maxActionBytes>>10)
		}
		out = append(out, answer.Actions...)
		if answer.End != nil && answer.End.Err != nil {
			return nil, answer.End.Err
		}
	}
}
