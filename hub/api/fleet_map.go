package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

// fleetMap answers all clusters that the caller sees. Its ETag is of what is known,
// and not of when: while nothing changes, who has it gets 304.
func (a *api) fleetMap(c *gin.Context) {
	ctx, set := c.Request.Context(), a.caller(c)
	err := knownParameters(c, []string{"filter", "project"})
	q := fleet.MapQuery{Filter: c.Query("filter"), Project: c.Query("project")}
	if err == nil {
		q.Sight, err = a.sight(ctx, set)
	}
	var m fleet.FleetMap
	if err == nil {
		m, err = a.opts.Inventory.Map(ctx, q)
	}
	if err == nil && m.AsOf.IsZero() {
		err = fault.New(fault.Unavailable, "db_unavailable", "the database is not reachable, and this hub has not read it yet")
	}
	var body []byte
	if err == nil {
		asOf := m.AsOf
		m.AsOf = time.Time{}
		if body, err = json.Marshal(m); err == nil {
			sum := sha256.Sum256(body)
			tag := `"` + hex.EncodeToString(sum[:12]) + `"`
			c.Header("ETag", tag)
			if unchanged(c, tag) {
				c.Status(http.StatusNotModified)
				return
			}
			body = append([]byte(`{"asOf":`+strconv.Quote(asOf.Format(time.RFC3339Nano))+`,`), body[1:]...)
		}
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	c.Data(http.StatusOK, "application/json; charset=utf-8", body)
}
