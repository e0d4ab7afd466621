package command

import (
	"cmp"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/appspec"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/model/decode"
)

func newAppCreate(s *session) *cobra.Command {
	var flags appspec.Flags
	var files []string
	var upsert, dryRun bool
	var apps []model.Application
	c := &cobra.Command{
		Use:   "create [NAME]",
		Short: "Create an application from flags, from a file, or from both",
		Long: `Create an application from flags, from a file, or from both: what flags say wins over
the file. A file is needed for several sources. FILE is - for standard input.

--upsert changes an application that there is; without it that is an error. --dry-run
checks and prints the application and sends nothing.`,
		Example: `  hawser app create shop --repo https://git.example.com/shop --path deploy --dest-name eu --dest-namespace shop
  hawser app create shop --repo https://charts.example.com --helm-chart shop --revision '1.x' --helm-set replicas=3 --dest-name eu
  hawser app create -f app.yaml --dest-name us --upsert`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 0 && len(files) == 0 {
				return fault.New(fault.Invalid, "usage", "name one application").WithFix("hawser app create NAME --repo URL --path DIR --dest-name CLUSTER, or -f FILE")
			}
			return nil
		},
		PreRunE: func(_ *cobra.Command, args []string) (err error) {
			apps, err = s.newApps(&flags, args, files)
			return err
		},
		RunE: s.offline(func(c *call) (err error) {
			if dryRun {
				return c.printApps(apps)
			}
			if c.api, err = s.client(); err != nil {
				return err
			}
			header := http.Header{}
			if !upsert {
				header.Set("If-None-Match", "*")
			}
			written := make([]model.Application, len(apps))
			for i, a := range apps {
				if err := c.api.DoWith(c.ctx, http.MethodPut, appPath(a.Metadata.Name), header, a, &written[i]); err != nil {
					return err
				}
				done := "created"
				if upsert {
					done = "written"
				}
				c.note("application %q %s", a.Metadata.Name, done)
			}
			if c.documents() || c.format == output.Name {
				return c.printApps(written)
			}
			return nil
		}),
	}
	flags.Register(c.Flags())
	flags.RegisterMetadata(c.Flags())
	f := c.Flags()
	f.StringArrayVarP(&files, "file", "f", nil, "file with Applications, - for standard input; may be repeated")
	f.BoolVar(&upsert, "upsert", false, "change the application when it is there")
	f.BoolVar(&dryRun, "dry-run", false, "check and print the application, send nothing")
	return c
}

// newApps are the applications that flags and files describe, complete and checked.
func (s *session) newApps(flags *appspec.Flags, args, files []string) ([]model.Application, error) {
	apps := []model.Application{{APIVersion: model.APIVersionHawser, Kind: model.KindApplication}}
	if len(files) > 0 {
		body, err := s.readDocuments(files)
		if err != nil {
			return nil, err
		}
		if apps, err = applicationsIn(body); err != nil {
			return nil, err
		}
		if len(apps) > 1 && (len(args) > 0 || flags.Given()) {
			return nil, fault.New(fault.Invalid, "usage", "the file has %d applications, and a name or a flag is of one", len(apps))
		}
	}
	for i := range apps {
		a := &apps[i]
		if len(args) > 0 {
			a.Metadata.Name = args[0]
		}
		a.Spec.Project = cmp.Or(a.Spec.Project, model.DefaultProject)
		position := 0
		if len(a.Spec.Sources) == 1 {
			position = 1
		}
		if err := flags.Apply(a, position); err != nil {
			return nil, err
		}
		a.Status = nil
	}
	return apps, nil
}

// applicationsIn decodes a text strictly.
func applicationsIn(body []byte) ([]model.Application, error) {
	docs, err := decode.Documents(body)
	if err != nil {
		return nil, err
	}
	var apps []model.Application
	for _, d := range docs {
		switch {
		case d.Err != nil:
			return nil, d.Err
		case d.Application == nil:
			return nil, fault.New(fault.Invalid, "kind_unexpected", "only Applications are created here").WithFix("use hawser apply -f for everything else")
		}
		apps = append(apps, *d.Application)
	}
	if len(apps) == 0 {
		return nil, fault.New(fault.Invalid, "body_missing", "there is no Application in the file")
	}
	return apps, nil
}

// printApps prints applications as they are written: one as itself, several as a
// list of documents.
func (c *call) printApps(apps []model.Application) error {
	switch {
	case c.documents() && c.format != output.YAML && len(apps) == 1:
		return c.document(apps[0])
	case c.documents() && c.format != output.YAML:
		return c.document(apps)
	}
	for i, a := range apps {
		if c.format == output.Name {
			if err := c.name("app/" + a.Metadata.Name); err != nil {
				return err
			}
			continue
		}
		if i > 0 {
			if _, err := c.Out.Write([]byte("---\n")); err != nil {
				return err
			}
		}
		if err := output.Document(c.Out, output.YAML, a); err != nil {
			return err
		}
	}
	return nil
}
