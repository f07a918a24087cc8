package lint

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/manifests/encryption"
)

func noSuchResource() Check {
	return Check{
		ID:       "encryption-no-such-resource",
		Title:    "A rule is about a resource that does not exist",
		Severity: audit.High,
		Rationale: "kube-apiserver accepts any name. A name that is misspelt, lacks its group or has a version in it encrypts " +
			"nothing: the resource is stored in plaintext, without an error.",
		Method: "Compares each resource with those that Kubernetes " + builtinRelease + " stores. A name with another group " +
			"may be a custom resource, which only the cluster knows: that is unknown unless --crd names it.",
		Remediation: func(p audit.Place) audit.Remediation { return nameCustom(p, anyGroup()) },
		References:  references("kubernetes.io/docs/tasks/administer-cluster/encrypt-data"),
		Run: func(s *Subject) audit.Outcome {
			var f findings
			var custom []string
			for i, rule := range s.Configuration.Rules {
				for j, r := range rule.Resources {
					v := s.lookUpName(r)
					switch v.code {
					case "":
					case customCode:
						custom = append(custom, r)
					default:
						f.add(v.code, "%s: %s", s.describeField(fmt.Sprintf("resources[%d].resources[%d]", i, j)), v.text)
					}
				}
			}
			if len(f) == 0 && custom != nil {
				o := audit.CouldNotTell("these may be custom resources: " + joinNames(custom) + "; --crd names those that exist")
				o.Remediation = nameCustom(s.Place(), groupGlobs(custom))
				return o
			}
			return f.outcome("every resource is stored by Kubernetes " + builtinRelease + ", or named by --crd")
		},
	}
}

// nameCustom returns the lines for a name that Kubernetes does not store; globs, a string or an
// [audit.Word], is a list for --crd.
func nameCustom(p audit.Place, globs any) audit.Remediation {
	return audit.Remediation{
		audit.Say("Write the resource with its group, as `kubectl api-resources -o name` does:"),
		audit.Paste("etcdsec encryption lint --fix %s", p.File()),
		audit.Say("If it is a custom resource:"),
		audit.Paste("etcdsec encryption lint --crd %s %s", globs, p.File()),
	}
}

// anyGroup stands for a glob over the resources of a group.
func anyGroup() audit.Word { return audit.StandIn("'*.GROUP'") }

var groupName = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)+$`)

// groupGlobs returns a list of globs, one for the group of each resource. It returns a stand-in if one
// of the names must not be shown or has no valid group.
func groupGlobs(resources []string) any {
	var globs []string
	for _, r := range resources {
		group := encryption.ParseGroupResource(r).Group
		if encryption.ShowName(r) != strconv.Quote(r) || !groupName.MatchString(group) {
			return anyGroup()
		}
		if glob := "*." + group; !slices.Contains(globs, glob) {
			globs = append(globs, glob)
		}
	}
	return strings.Join(globs, ",")
}

// name is the result of the lookup of a resource's name.
type name struct {
	code string // empty if it exists
	text string
	// meant is the only resource that can have been meant; empty if there are several or none.
	meant string
}

// customCode is the code of a name that may be a custom resource.
const customCode = "custom"

var version = regexp.MustCompile(`^v[0-9]+((alpha|beta)[0-9]+)?$`)

func (s *Subject) lookUpName(written string) name {
	gr := encryption.ParseGroupResource(written)
	for _, glob := range s.CRDs {
		if audit.MatchGlob(glob, strings.TrimSuffix(written, ".")) {
			return name{}
		}
	}
	if gr == encryption.Everything() {
		return name{}
	}
	groups := builtin()
	of, isBuiltin := findGroup(groups, gr.Group)
	first, rest, _ := strings.Cut(gr.Group, ".")
	switch {
	case written == "":
		return name{code: "empty", text: "an empty name is not a resource"}
	case isBuiltin && (gr.Resource == "*" || of.has(gr.Resource)):
		return name{}
	case isBuiltin && of.isVirtual(gr.Resource):
		return name{code: "virtual", text: fmt.Sprintf("%s are never stored", written)}
	case version.MatchString(first):
		// resource.version.group is how discovery writes it, and no group.
		meant := strings.TrimSuffix(gr.Resource+"."+rest, ".")
		if v := s.lookUpName(meant); v.code != "" && v.code != customCode {
			meant = v.meant
		}
		return name{"version", fmt.Sprintf("%s has a version in it%s", encryption.ShowName(written), suggest(meant)), meant}
	case isBuiltin, !strings.Contains(gr.Group, "."):
		meant := findNearest(groups, gr)
		code := "misspelt"
		if in, _ := findGroup(groups, encryption.ParseGroupResource(meant).Group); meant != "" && in.has(gr.Resource) {
			code = "group"
		}
		return name{code, fmt.Sprintf("Kubernetes %s has no %s%s", builtinRelease, encryption.ShowName(written), suggest(meant)), meant}
	}
	return name{code: customCode}
}

func suggest(meant string) string {
	if meant == "" {
		return ""
	}
	return fmt.Sprintf("; %q does exist", meant)
}
