package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
)

// readRoots reads the tree of units from its roots down, one call for each
// unit that may have others below it.
func readRoots(ctx context.Context, r *reader, client *organizations.Client) error {
	pages := organizations.NewListRootsPaginator(client, &organizations.ListRootsInput{MaxResults: aws.Int32(organizationsPage)})
	err := readPages(ctx, r, pages, func(out *organizations.ListRootsOutput, list page) error {
		for i, root := range out.Roots {
			if aws.ToString(root.Arn) == "" {
				return unidentified("organizations:ListRoots", "Roots", i)
			}
			if err := r.resource("aws.organizations.unit", *root.Arn, list, list.item("Roots", i)).emit(ctx); err != nil {
				return err
			}
			if err := readUnits(ctx, r, client, root.Id); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		r.listed("aws.organizations.unit")
	}
	return err
}

func readUnits(ctx context.Context, r *reader, client *organizations.Client, parent *string) error {
	const list = "organizations:ListOrganizationalUnitsForParent"
	pages := organizations.NewListOrganizationalUnitsForParentPaginator(client,
		&organizations.ListOrganizationalUnitsForParentInput{ParentId: parent, MaxResults: aws.Int32(organizationsPage)})
	var below []*string
	err := readPages(ctx, r, pages, func(out *organizations.ListOrganizationalUnitsForParentOutput, p page) error {
		for i, unit := range out.OrganizationalUnits {
			if aws.ToString(unit.Arn) == "" {
				return unidentified(list, "OrganizationalUnits", i)
			}
			body := p.item("OrganizationalUnits", i)
			body["ParentId"] = aws.ToString(parent)
			if err := r.resource("aws.organizations.unit", *unit.Arn, p, body).emit(ctx); err != nil {
				return err
			}
			below = append(below, unit.Id)
		}
		return nil
	})
	if call, _ := r.spec.Call(list); hasCode(err, call.Vanished) {
		// Only an empty unit can be deleted. Source: API_DeleteOrganizationalUnit.
		return nil
	}
	if err != nil {
		return err
	}
	for _, unit := range below {
		if err := readUnits(ctx, r, client, unit); err != nil {
			return err
		}
	}
	return nil
}
