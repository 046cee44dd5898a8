"""Screen Real or generated: a person takes the place of the discriminator for ten rounds, and is scored beside it."""

import streamlit as st

from dans_app.quiz import asked as quiz_asked
from dans_app.quiz import games, judges, pools, seen
from dans_app.quiz import words as quiz_words
from dans_app.quiz.asked import Asked
from dans_app.quiz.games import GAMES, ROUNDS
from dans_app.quiz.judges import Judge
from dans_app.quiz.pools import Pool
from dans_app.quiz.words import Round
from dans_app.server import loading
from dans_app.shared import classroom, exports, shell
from dans_core.kg import KnowledgeGraph
from dans_lab.runs.run import Run


def show() -> None:
    run = shell.begin(
        "Real or generated",
        "You be the discriminator: ten vectors, each shown as D sees it. What are they?",
        "There is no run yet. Start one on the Train page; its fakes can be told from real entities here.",
        ":material/quiz:",
    )
    if run is None:
        return
    with shell.told("This run cannot be played"):
        play(run, loading.graph(run))


def play(run: Run, kg: KnowledgeGraph) -> None:
    offered = games.playable(run)
    if not offered:
        for name in GAMES:
            st.info(f"{GAMES[name].title} {games.refusal(name, run)}", icon=":material/block:")
        return
    asked = quiz_asked.checked(run, offered)
    if asked.place.message:
        st.warning(asked.place.message, icon=":material/link_off:")
    if not classroom.hides("game"):
        choices(asked, offered)
    candidates = pools.pool(run, kg, asked.game.name, asked.epoch)
    ten = pools.draw(candidates, asked.game, asked.seed)
    players = judges.judges(candidates, asked.game, ten)
    rounds = played(asked, candidates, ten, players)
    if asked.over:
        show_result(asked, candidates, rounds, players, kg)
    else:
        show_round(asked, candidates, rounds, players, kg)


def played(asked: Asked, candidates: Pool, ten: list[int], players: list[Judge]) -> list[Round]:
    """The ten with all answers; those of the person as far as given."""
    said = [letter == asked.game.sought for letter in asked.answers]
    return [
        Round(
            place,
            bool(candidates.sought[place]),
            said[i] if i < len(said) else None,
            {
                judge.name: bool(judge.says(float(candidates.measures[judge.measure][place])))
                for judge in players
            },
        )
        for i, place in enumerate(ten)
    ]


def choices(asked: Asked, offered: list[games.Name]) -> None:
    place, state = asked.place, st.session_state
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        place.segmented(
            "game",
            "Game",
            {name: GAMES[name].title for name in offered},
            asked.game.name,
            "“Real or generated?” is what D_adv is asked in training, “Which pathway?” what D_aux is asked, and “True "
            "or false?” what the decoder is for.",
        )
        if len(asked.epochs) > 1:
            state["quiz_epoch"] = asked.epoch
            st.selectbox(
                "Epoch",
                asked.epochs,
                format_func=lambda epoch: f"{epoch:,}",
                key="quiz_epoch",
                on_change=lambda: place.choose("epoch", str(state["quiz_epoch"])),
                help="The snapshot that vectors and opinions are of: fakes of a young generator are easier to tell.",
                width=110,
            )
        st.button(
            "Ten others",
            icon=":material/casino:",
            type="primary" if asked.over else "secondary",
            on_click=asked.others,
            help=f"These are the ten of seed {asked.seed:,}. Whoever opens the address of this page plays the same.",
        )

    for why in dict.fromkeys(games.refusal(name, asked.run) for name in GAMES if name not in offered):
        st.caption(why or "")


# --- a round -------------------------------------------------------------------------------------------------------


def show_round(
    asked: Asked, candidates: Pool, rounds: list[Round], players: list[Judge], kg: KnowledgeGraph
) -> None:
    now = rounds[asked.round - 1]
    near = seen.neighbours(candidates, now.place)
    drawn = seen.places(candidates)
    # On a phone they stand in this order, so that the answer does not lie below all that there is to see.
    task, picture, figures = st.columns([7, 9, 8], gap="medium")
    with task:
        st.markdown(quiz_words.progress(rounds, asked.round))
        st.markdown(question(asked, candidates, now.place, kg))
        buttons(asked)
        if asked.answered:
            show_answer(asked, candidates, now, players, kg, near)
    with picture:
        st.plotly_chart(
            seen.figure(candidates, now.place, kg, drawn),
            key="quiz_map",
            alt=seen.alt(near, kg),
            config=exports.config(f"quiz {asked.run.id}"),
        )
    with figures:
        show_numbers(asked, candidates, now.place, kg, near)
    st.caption(about_picture(asked, drawn))
    if asked.answered:
        show_facts(asked, candidates, now.place, kg)


def question(asked: Asked, candidates: Pool, place: int, kg: KnowledgeGraph) -> str:
    head, relation = int(candidates.heads[place]), int(candidates.relations[place])
    entity = candidates.entity(place)
    tail = "**?**"
    if asked.game.name == "triplet" and entity is not None:
        tail = f"**{shell.markdown_text(kg.entities[entity], 40)}**"
    return f"{quiz_words.query(kg, head, relation, tail)}  \n{asked.game.question}"


def buttons(asked: Asked) -> None:
    """The two answers; once one is given, the ways to the rounds beside this one."""
    with st.container(horizontal=True, gap="small"):
        if not asked.answered:
            for key, answer in zip("12", asked.game.answers, strict=True):
                st.button(
                    answer.word,
                    icon=answer.icon,
                    key=f"quiz_answer_{answer.letter}",
                    shortcut=key,
                    type="primary",
                    on_click=asked.answer,
                    args=(answer.letter,),
                )
        if asked.round > 1:
            st.button(
                "Back",
                icon=":material/arrow_back:",
                key="quiz_back",
                shortcut="Left",
                on_click=asked.go,
                args=(asked.round - 1,),
            )
        if asked.answered:
            last = asked.round == ROUNDS
            st.button(
                "The result" if last else "Next",
                icon=":material/arrow_forward:",
                key="quiz_next",
                shortcut="Right",
                type="primary",
                on_click=asked.go,
                args=(asked.round + 1,),
            )


def show_numbers(
    asked: Asked, candidates: Pool, place: int, kg: KnowledgeGraph, near: list[seen.Neighbour]
) -> None:
    st.markdown(quiz_words.numbers(candidates, place), help=quiz_words.NUMBERS_HELP)
    known: set[int] = set()
    if asked.game.name == "triplet":
        answers = kg.answers(int(candidates.heads[place]), int(candidates.relations[place]))
        known = set(answers["train"].tolist())
    rows = quiz_words.near(near, kg, known)
    st.dataframe(
        rows,
        hide_index=True,
        height="content",
        column_config=quiz_words.near_columns(),
        key="quiz_near",
        alt="The entities nearest to this one, with cosines and distances.",
    )
    if usual := quiz_words.yardstick(candidates):
        st.caption(usual)


def about_picture(asked: Asked, drawn: seen.Place) -> str:
    what = (
        "D sees the vector and the query"
        if asked.run.config.conditional_d
        else "D sees the vector alone, all of its numbers"
    )
    if not asked.run.config.fakes:
        what = "The decoder sees all numbers of the vectors"
    return (
        f"{what}; the map is its two directions of largest variance (PCA), which hold {drawn.explained:.0%} of it. "
        "A star marks this one, whatever it is."
    )


def show_answer(
    asked: Asked,
    candidates: Pool,
    now: Round,
    players: list[Judge],
    kg: KnowledgeGraph,
    near: list[seen.Neighbour],
) -> None:
    facts = quiz_words.facts(candidates, now.place, asked.game)
    st.markdown(
        "  \n".join(
            (
                quiz_words.verdict(asked.game, now),
                quiz_words.opinions(candidates, now.place, asked.game, players, now.sought),
            )
        )
    )
    st.markdown(quiz_words.who(candidates, now.place, kg, near[0]))
    st.markdown(quiz_words.best_fact(facts, asked.game))


def show_facts(asked: Asked, candidates: Pool, place: int, kg: KnowledgeGraph) -> None:
    facts = quiz_words.facts(candidates, place, asked.game)
    with st.expander("What was measured", icon=":material/straighten:"):
        st.dataframe(
            facts,
            hide_index=True,
            height="content",
            column_config=quiz_words.fact_columns(facts),
            alt="What is measured of this one beside the medians of both kinds.",
        )
    st.page_link(
        shell.page("Triplet"),
        label="All negatives of this query",
        icon=":material/conversion_path:",
        query_params={
            "run": asked.run.id,
            "head": kg.entities[int(candidates.heads[place])],
            "relation": kg.relation_name(int(candidates.relations[place])),
            "tail": kg.entities[int(candidates.answers[place])],
        },
    )


# --- the result ----------------------------------------------------------------------------------------------------


def show_result(
    asked: Asked, candidates: Pool, rounds: list[Round], players: list[Judge], kg: KnowledgeGraph
) -> None:
    found = quiz_words.tallies(rounds)
    st.markdown(quiz_words.outcome(rounds, found, asked.game))
    with st.container(horizontal=True, gap="small"):
        st.button("The same ten again", icon=":material/replay:", on_click=asked.again)
        st.button(
            "Look at the rounds", icon=":material/arrow_back:", shortcut="Left", on_click=asked.go, args=(1,)
        )
    st.dataframe(
        quiz_words.scores(found, asked.game, players),
        hide_index=True,
        height="content",
        column_config=quiz_words.score_columns(asked.game),
        alt="How you, D and the decoder did on the same ten.",
    )
    notes = (
        quiz_words.fitted_note(players, asked.game),
        quiz_words.parted_elsewhere(rounds, candidates, asked.game, players),
    )
    st.caption(" ".join(filter(None, notes)))
    rows = quiz_words.all_rounds(rounds, candidates, asked.game, kg, players)
    st.dataframe(rows, hide_index=True, height="content", alt="The ten rounds, and what each player said.")
    exports.table(rows, f"quiz {asked.game.name} {asked.run.id} {asked.seed}")


shell.guard()
show()
