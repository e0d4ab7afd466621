package auth

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

const (
	clusterPrefix = "hwk_"
	// ClusterTokenLife is how long a token for one cluster may be used.
	ClusterTokenLife = 10 * time.Minute
	// maxClusterToken bounds what is decoded of strangers.
	maxClusterToken = 1024
)

// Signer signs what a hub says to itself, and tells whether it did: any hub of the
// same database.
type Signer interface {
	// Sign answers what Signed takes for the same text.
	Sign(text []byte) ([]byte, error)
	Signed(text, signature []byte) bool
}

// SignWith lets the service make tokens for one cluster. It is called before the
// first request; without it there are none, and none is taken.
func (s *Service) SignWith(signer Signer) { s.signer = signer }

// clusterToken is what a token for one cluster says. It is signed and stored
// nowhere: it counts while the token or session that it was made for does.
type clusterToken struct {
	Holder  string          `json:"h"` // id of the token or session
	Cluster model.ClusterID `json:"c"`
	Until   int64           `json:"u"` // Unix seconds
}

// IssueForCluster makes a token that takes its bearer to one cluster's API server,
// as the caller, for 10 minutes at most, and for nothing else. It ends with the
// token or session of the caller.
func (s *Service) IssueForCluster(caller fleet.APIToken, cluster model.ClusterID) (token string, until time.Time, err error) {
	if s.signer == nil || caller.ID == "" || cluster == "" {
		return "", until, fault.New(fault.Precondition, "access_unsupported", "kubectl does not go through this hub")
	}
	until = s.now().UTC().Add(ClusterTokenLife).Truncate(time.Second)
	if caller.ExpiresAt.Before(until) {
		until = caller.ExpiresAt.UTC().Truncate(time.Second)
	}
	text, err := json.Marshal(clusterToken{caller.ID, cluster, until.Unix()})
	if err != nil {
		return "", until, fault.Wrap(err, fault.Internal, "internal", "a token could not be written")
	}
	signature, err := s.signer.Sign(text)
	if err != nil {
		return "", until, err
	}
	return clusterPrefix + base64.RawURLEncoding.EncodeToString(text) + "." + base64.RawURLEncoding.EncodeToString(signature), until, nil
}

// AuthenticateForCluster is Authenticate for requests to a cluster's API server,
// where tokens for one cluster are taken too: only is then the one that it is
// for, else "".
func (s *Service) AuthenticateForCluster(ctx context.Context, from, token string) (t fleet.APIToken, only model.ClusterID, err error) {
	if !strings.HasPrefix(token, clusterPrefix) {
		t, err = s.Authenticate(ctx, from, token)
		return t, "", err
	}
	if t, only, err = s.checkForCluster(ctx, from, token, true); fault.HasCode(err, "token_invalid") {
		err = s.refuse(ctx, from, err)
	}
	return t, only, err
}

// RecheckForCluster is Recheck for these.
func (s *Service) RecheckForCluster(ctx context.Context, token string) (t fleet.APIToken, only model.ClusterID, err error) {
	if !strings.HasPrefix(token, clusterPrefix) {
		t, err = s.Recheck(ctx, token)
		return t, "", err
	}
	return s.checkForCluster(ctx, "", token, false)
}

func (s *Service) checkForCluster(ctx context.Context, from, token string, use bool) (fleet.APIToken, model.ClusterID, error) {
	none := func(err error) (fleet.APIToken, model.ClusterID, error) { return fleet.APIToken{}, "", err }
	said, ok := s.readForCluster(token)
	if !ok {
		return none(fault.New(fault.Unauthorized, "token_invalid", "the token for a cluster is not valid").WithFix("log in again with hawser login"))
	}
	now := s.now()
	if now.Unix() >= said.Until {
		return none(fault.New(fault.Unauthorized, "token_expired", "the token for a cluster has expired").WithFix("ask for another: hawser kube-credential"))
	}
	key := append([]byte("holder "), said.Holder...)
	t, known, forgotten := s.recall(key, now)
	if !known {
		var err error
		t, err = s.Holder(ctx, said.Holder)
		switch {
		case fault.Is(err, fault.NotFound) || err == nil && subtle.ConstantTimeCompare([]byte(t.ID), []byte(said.Holder)) != 1:
			return none(sessionOver())
		case err != nil:
			return none(err)
		}
	}
	switch {
	case t.Session != nil:
		if err := s.session(ctx, t, from, use); err != nil {
			return none(err)
		}
	case !now.Before(t.ExpiresAt):
		return none(sessionOver())
	}
	if !known {
		s.rememberAs(key, t, now.Add(remembered), forgotten)
	}
	return t, said.Cluster, nil
}

// readForCluster reads a token for a cluster, when it has the hub's signature.
func (s *Service) readForCluster(token string) (said clusterToken, ok bool) {
	// The decoder passes over line ends, also where it is strict.
	if s.signer == nil || len(token) > maxClusterToken || strings.ContainsAny(token, "\r\n") {
		return said, false
	}
	a, b, ok := strings.Cut(strings.TrimPrefix(token, clusterPrefix), ".")
	if !ok {
		return said, false
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(a)
	if err != nil {
		return said, false
	}
	signature, err := base64.RawURLEncoding.Strict().DecodeString(b)
	if err != nil || !s.signer.Signed(text, signature) {
		return said, false
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return said, d.Decode(&said) == nil && said.Holder != "" && said.Cluster != ""
}
