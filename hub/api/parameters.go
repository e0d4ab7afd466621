package api

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Plugins asks config management plugins. Parameters blocks while their commands
// run; errors are for the user.
type Plugins interface {
	// Parameters returns what plugins announce for the sources of an application
	// that they render, as those were last rendered.
	Parameters(ctx context.Context, app fleet.App) ([]model.PluginParameters, error)
}

// pluginParameters answers which parameters the plugins of an application
// understand. An application that no plugin renders has none.
func (a *api) pluginParameters(c *gin.Context) {
	app, err := a.store.Application(c.Request.Context(), c.Param("name"))
	if err != nil {
		a.fail(c, err)
		return
	}
	list := []model.PluginParameters{}
	if a.opts.Plugins != nil {
		if app.Source.Bundle == "" {
			a.fail(c, fault.New(fault.Precondition, "nothing_rendered", "nothing of %q was rendered yet", app.Name).
				WithFix("wait until the hub has read its repository, or put its source right"))
			return
		}
		found, err := a.opts.Plugins.Parameters(c.Request.Context(), app)
		if err != nil {
			a.fail(c, err)
			return
		}
		list = append(list, found...)
	}
	c.JSON(http.StatusOK, newList(a, list))
}
