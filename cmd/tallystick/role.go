package main

import (
	_ "embed"
	"encoding/json"
	"io"
	"strconv"
	"strings"
)

// The role as Terraform and CloudFormation write it. Both leave to their user
// who may assume it, under which external id, and what it is called.
// Source for the trust: IAM user guide, access to accounts owned by third parties
// (external id), and monitor and control actions taken with assumed roles (source
// identity, which role chaining keeps and both sides must allow).
//
//go:embed role.tf.tmpl
var terraformRole string

//go:embed role.cfn.yaml.tmpl
var cloudFormationRole string

// maxPolicy is how many characters a managed policy may have, without white
// space. Managed policies are used and not inline ones, which share 10,240 in a
// role. A role takes ten of them, unless the quota was raised.
// Source: IAM user guide, IAM and AWS STS quotas.
const maxPolicy = 6144

// policy is an IAM policy document.
// Source: IAM user guide, grammar of the IAM JSON policy language.
type policy struct {
	Version   string
	Statement []statement
}

type statement struct {
	Sid      string
	Effect   string
	Action   []string
	Resource string
}

// readsSid names the one statement of each policy.
const readsSid = "TallystickReadsConfiguration"

// policyOf allows the actions. Most of them list, and a list has no resource to
// name; those that read one resource must reach resources that do not exist yet.
func policyOf(actions []string) policy {
	return policy{Version: "2012-10-17", Statement: []statement{
		{Sid: readsSid, Effect: "Allow", Action: actions, Resource: "*"},
	}}
}

// split divides actions, in order, among as few policies as have at most limit
// characters each.
func split(actions []string, limit int) ([][]string, error) {
	var parts [][]string
	from := 0
	for to := range actions {
		doc, err := json.Marshal(policyOf(actions[from : to+1]))
		if err != nil {
			return nil, err
		}
		if len(doc) > limit && to > from {
			parts = append(parts, actions[from:to])
			from = to
		}
	}
	return append(parts, actions[from:]), nil
}

// writeRole fills in one of the two texts. What stands between the lines
// "{{each policy}}" and "{{end}}" is written for each policy, with its number
// from 1 in the place of {{n}}; a line with {{action}} for each of its actions.
// text/template would keep every exported method of every SDK in the program.
func writeRole(w io.Writer, text string, actions []string) error {
	parts, err := split(actions, maxPolicy)
	if err != nil {
		return err
	}
	head, rest, _ := strings.Cut(text, "{{each policy}}\n")
	block, tail, _ := strings.Cut(rest, "{{end}}\n")
	var b strings.Builder
	b.WriteString(head)
	for i, part := range parts {
		for line := range strings.Lines(block) {
			line = strings.NewReplacer("{{n}}", strconv.Itoa(i+1), "{{sid}}", readsSid).Replace(line)
			b.WriteString(repeated(line, "{{action}}", part))
		}
	}
	b.WriteString(tail)
	_, err = io.WriteString(w, b.String())
	return err
}
