package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/account"

	"github.com/tallystick/tallystick/collectors"
)

// accountRegions reads every region of the partition and whether the account
// has it: ENABLED_BY_DEFAULT is a region that is always on, ENABLED one that
// somebody turned on, and both can hold resources. It shows regions that the
// configuration leaves out, which a regional collector does not look at.
// Source: Account Management API reference, Region.
func accountRegions(e *Estate) *collector {
	const kind = "aws.account.region"
	return &collector{estate: e, read: readAccountRegions, spec: collectors.Spec{
		Name:    "aws.account_regions",
		Summary: "Regions of the account and whether each is enabled.",
		Kinds:   []string{kind},
		Reach:   collectors.Global,
		Calls: []collectors.Call{
			{Operation: "account:ListRegions", Kind: kind},
		},
	}}
}

func readAccountRegions(ctx context.Context, r *reader) error {
	// Without an account id the call is about the caller's own account, and the
	// management account must not name itself.
	pages := account.NewListRegionsPaginator(account.NewFromConfig(r.config), &account.ListRegionsInput{MaxResults: aws.Int32(50)})
	return readMembers(ctx, r, "account:ListRegions", pages, "Regions", func(out *account.ListRegionsOutput) (ids []string) {
		for _, region := range out.Regions {
			id := ""
			if name := aws.ToString(region.RegionName); name != "" {
				id = r.account + "/" + name
			}
			ids = append(ids, id)
		}
		return ids
	})
}
