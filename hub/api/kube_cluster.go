package api

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/permission"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

const (
	// callClusterAge bounds how old the setting of a cluster may be by which a request
	// of kubectl begins. What is open is judged by what is stored at that moment, so
	// that both end within the five seconds that are promised.
	callClusterAge  = 2 * time.Second
	maxCallClusters = 1024
)

// callClusters are the clusters that kubectl has gone to a moment ago: a list of
// pods is not to wait for the database. It is safe for concurrent use.
type callClusters struct {
	mu    sync.Mutex
	known map[string]callCluster // by name or id, as it was asked for
	// forgotten counts what was changed here: what was read before is not kept.
	forgotten uint64
}

type callCluster struct {
	cluster model.Cluster
	until   time.Time
}

func (k *callClusters) recall(nameOrID string, now time.Time) (c model.Cluster, ok bool, forgotten uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	m, ok := k.known[nameOrID]
	return m.cluster, ok && now.Before(m.until), k.forgotten
}

func (k *callClusters) remember(nameOrID string, c model.Cluster, until time.Time, forgotten uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.forgotten != forgotten {
		return
	}
	if k.known == nil || len(k.known) >= maxCallClusters {
		k.known = map[string]callCluster{}
	}
	k.known[nameOrID] = callCluster{c, until}
}

// forget has all of them read again.
func (k *callClusters) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known = nil
	k.forgotten++
}

// callCluster is the store's Cluster, for who sees the cluster no older than
// callClusterAge. For others the store is asked, as it is for what there is not: how
// soon an answer comes tells nothing.
func (a *api) callCluster(ctx context.Context, set *permission.Set, nameOrID string) (model.Cluster, error) {
	now := a.now()
	c, ok, forgotten := a.callClusters.recall(nameOrID, now)
	if ok && a.sees(ctx, set, c, nameOrID) == nil {
		return c, nil
	}
	c, err := a.store.Cluster(ctx, nameOrID)
	if err == nil {
		a.callClusters.remember(nameOrID, c, now.Add(callClusterAge), forgotten)
	}
	return c, err
}

// clusterToken is shown once, and stored nowhere.
type clusterToken struct {
	Token string `json:"token"`
	// ExpiresAt is at most 10 minutes away; the token ends before that with the token
	// or session that asked for it.
	ExpiresAt time.Time `json:"expiresAt"`
}

// createClusterToken gives the caller a token for one cluster's API server.
func (a *api) createClusterToken(c *gin.Context) {
	if a.opts.Access == nil || a.opts.Vouch == nil {
		a.fail(c, fault.New(fault.Precondition, "access_unsupported", "kubectl does not go through this hub"))
		return
	}
	by := identity(c)
	cluster, err := a.mayProxy(c.Request.Context(), by, c.Param("name"), a.store.Cluster)
	var out clusterToken
	if err == nil {
		out.Token, out.ExpiresAt, err = a.opts.Auth.IssueForCluster(by, cluster.ID)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusCreated, out)
}
