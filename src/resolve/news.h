/*
 * news.h
 *		Resolve, for news: rows of cadence_outbox.
 */
#ifndef CADENCE_RESOLVE_NEWS_H
#define CADENCE_RESOLVE_NEWS_H

#include "postgres.h"

#include "provider/provider.h"
#include "step.h"

extern void cadence_news_resolve(const CadenceProviders *providers, CadenceStep **steps, int n);

#endif
