-- Everything in the schema that search_path names, one line each. Names are relative to it, so that the same schema under
-- another name reads the same. Owners and grants are left out.
with part as (
    select oid, relname, relkind, relrowsecurity, relforcerowsecurity, relpersistence, relreplident, reloptions
    from pg_class where relnamespace = (select oid from pg_namespace where nspname = current_schema())
)
select format('%s %I: persistence %s, row security %s %s, replica identity %s, options %L, comment %L',
    case relkind when 'r' then 'table' when 'S' then 'sequence' else 'relation of kind ' || relkind::text end,
    relname, relpersistence, relrowsecurity, relforcerowsecurity, relreplident, reloptions, obj_description(oid, 'pg_class'))
from part where relkind not in ('i', 'I')
union all
select format('column %I.%I: number %s, %s, not null %s, default %L, generated %L, identity %L, collation %s, comment %L',
    relname, attname, row_number() over (partition by attrelid order by attnum), format_type(atttypid, atttypmod), attnotnull,
    pg_get_expr(adbin, adrelid, true), attgenerated, attidentity, attcollation::regcollation, col_description(attrelid, attnum))
from part join pg_attribute on attrelid = part.oid left join pg_attrdef on adrelid = attrelid and adnum = attnum
where relkind in ('r', 'v', 'm', 'f', 'p') and attnum > 0 and not attisdropped
union all
select format('constraint %I of %I: %s, validated %s, comment %L',
    conname, relname, pg_get_constraintdef(pg_constraint.oid, true), convalidated, obj_description(pg_constraint.oid, 'pg_constraint'))
from part join pg_constraint on conrelid = part.oid
union all
select format('index %s, valid %s, clustered %s, comment %L',
    pg_get_indexdef(indexrelid, 0, true), indisvalid, indisclustered, obj_description(indexrelid, 'pg_class'))
from part join pg_index on indrelid = part.oid
union all
select format('sequence %I: %s, start %s, step %s, owned by %s',
    relname, seqtypid::regtype, seqstart, seqincrement, refobjid::regclass || '.' || attname)
from part join pg_sequence on seqrelid = part.oid
left join pg_depend on objid = part.oid and classid = 'pg_class'::regclass and deptype in ('a', 'i') and refobjsubid > 0
left join pg_attribute on attrelid = refobjid and attnum = refobjsubid
union all
select format('trigger %s', pg_get_triggerdef(pg_trigger.oid, true))
from part join pg_trigger on tgrelid = part.oid where not tgisinternal
union all
select format('policy %I of %I', polname, relname)
from part join pg_policy on polrelid = part.oid
union all
select format('function %s returns %s: %s, volatility %s, definer %s, strict %s, settings %L, body %L, comment %L',
    pg_proc.oid::regprocedure, pg_get_function_result(pg_proc.oid), lanname, provolatile, prosecdef, proisstrict, proconfig, prosrc,
    obj_description(pg_proc.oid, 'pg_proc'))
from pg_proc join pg_language on pg_language.oid = prolang
where pronamespace = (select oid from pg_namespace where nspname = current_schema())
union all
select format('type %s: %s, labels %s', pg_type.oid::regtype, typtype, (select string_agg(enumlabel, ', ' order by enumsortorder) from pg_enum where enumtypid = pg_type.oid))
from pg_type
where typnamespace = (select oid from pg_namespace where nspname = current_schema()) and typtype not in ('b', 'c')
order by 1
