package command

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/model"
)

func newOperation(s *session) *cobra.Command {
	var app string
	list := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "Operations, newest first", Args: exactArgs(),
		RunE: func(c *cobra.Command, _ []string) error {
			api, err := s.client()
			if err != nil {
				return err
			}
			f, err := s.outputFormat()
			if err != nil {
				return err
			}
			query := url.Values{}
			if app != "" {
				query.Set("app", app)
			}
			var got struct {
				Items []model.OperationInfo `json:"items"`
			}
			if err := api.Get(c.Context(), "/operations?"+query.Encode(), &got); err != nil {
				return err
			}
			switch f {
			case output.JSON, output.YAML:
				return output.Document(s.Out, f, listDocument("OperationList", got.Items, s.now()))
			case output.Name:
				for _, op := range got.Items {
					fmt.Fprintln(s.Out, "operation/"+string(op.ID))
				}
				return nil
			}
			rows := make([][]string, 0, len(got.Items))
			for _, op := range got.Items {
				created := ""
				if op.CreatedAt != nil {
					created = op.CreatedAt.Format(time.RFC3339)
				}
				rows = append(rows, []string{string(op.ID), op.AppName, string(op.Kind), string(op.Phase), created, op.InitiatedBy, op.Message})
			}
			return output.Rows(s.Out, f, []output.Column{{Title: "ID"}, {Title: "APPLICATION"}, {Title: "KIND"}, {Title: "PHASE"}, {Title: "CREATED"}, {Title: "BY"}, {Title: "MESSAGE"}}, rows)
		},
	}
	list.Flags().StringVar(&app, "app", "", "only this application")
	get := &cobra.Command{
		Use: "get ID", Short: "One operation and its results", Args: exactArgs("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			return s.operationCall(c, http.MethodGet, "/operations/"+url.PathEscape(args[0]))
		},
	}
	terminate := &cobra.Command{
		Use: "terminate ID", Short: "End an operation", Args: exactArgs("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			return s.operationCall(c, http.MethodPost, "/operations/"+url.PathEscape(args[0])+"/terminate")
		},
	}
	return group("operation", "Durable commands and how they ended", list, get, terminate)
}

func (s *session) operationCall(c *cobra.Command, method, path string) error {
	api, err := s.client()
	if err != nil {
		return err
	}
	f, err := s.outputFormat()
	if err != nil {
		return err
	}
	var op model.OperationInfo
	if err := api.Do(c.Context(), method, path, nil, &op); err != nil {
		return err
	}
	return s.printOperation(f, op)
}
