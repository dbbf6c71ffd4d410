package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/inspector2"
	"github.com/aws/aws-sdk-go-v2/service/inspector2/types"

	"github.com/tallystick/tallystick/collectors"
)

// inspector2Coverage reads what Inspector scans in each region, and of which
// resources. The status of the account is one for each region, so it is listed
// without a call. The answer is kept as a whole: it tells the account's status
// in Accounts, or in FailedAccounts why it can not.
//
// A delegated administrator would be shown the resources of all its members;
// only those of this account are asked for.
func inspector2Coverage(e *Estate) *collector {
	return &collector{estate: e, read: readInspector, spec: collectors.Spec{
		Name:    "aws.inspector2_coverage",
		Summary: "Amazon Inspector: which scans are enabled, and the state of the scan of each resource.",
		Kinds:   []string{"aws.inspector2.account", "aws.inspector2.coverage"},
		Reach:   collectors.Regional,
		Calls: []collectors.Call{
			{Operation: "inspector2:BatchGetAccountStatus", Kind: "aws.inspector2.account", Field: "Status"},
			{Operation: "inspector2:ListCoverage", Kind: "aws.inspector2.coverage"},
		},
	}}
}

func readInspector(ctx context.Context, r *reader) error {
	client := inspector2.NewFromConfig(r.config)
	o := r.resource("aws.inspector2.account", r.account+"/"+r.region, page{exchange: r.caller}, nil)
	status, err := client.BatchGetAccountStatus(ctx, &inspector2.BatchGetAccountStatusInput{AccountIds: []string{r.account}})
	o.set("inspector2:BatchGetAccountStatus", status, err)
	if err := o.emit(ctx); err != nil {
		return err
	}
	r.listed("aws.inspector2.account")
	pages := inspector2.NewListCoveragePaginator(client, &inspector2.ListCoverageInput{
		FilterCriteria: &types.CoverageFilterCriteria{
			AccountId: []types.CoverageStringFilter{{Comparison: types.CoverageStringComparisonEquals, Value: &r.account}},
		},
		MaxResults: aws.Int32(200), // the most that the API allows
	})
	return readMembers(ctx, r, "inspector2:ListCoverage", pages, "CoveredResources", func(out *inspector2.ListCoverageOutput) (ids []string) {
		for _, c := range out.CoveredResources {
			// One resource is listed once for each type of scan.
			id := aws.ToString(c.ResourceId)
			if id != "" {
				id += "/" + string(c.ScanType)
			}
			ids = append(ids, id)
		}
		return ids
	})
}
